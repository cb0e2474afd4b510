#include "engine/import/plan.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/checkpoint/convert_elements.h"
#include "engine/checkpoint/safetensors_writer.h"
#include "engine/checkpoint/sha256.h"
#include "engine/checkpoint/sharded_tensors.h"
#include "tests/engine/checkpoint/float_tensors.h"

namespace sf {
namespace {

namespace fs = std::filesystem;
using fixtures::read_floats, fixtures::write_floats;
using testing::HasSubstr;

class ImportPlanTest : public testing::Test {
 protected:
  ImportPlanTest() {
    std::string pattern = (fs::temp_directory_path() / "sparsefusion-plan-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ImportPlanTest() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(ImportPlanTest, JoinsScalesAndFills) {
  write_floats(folder_ / "model.safetensors", {{"q", {1, 2}}, {"k", {3, 4}}, {"extra", {0}}});
  const ShardedTensors source(folder_);
  ImportPlan plan;
  plan.tensors = {{"qk", {3, 2}, {{"q", {2}, 0.5f}, {"k", {2}}, {"", {2}, 1, 9}}}};
  const auto reason = [&] {
    try {
      check_plan(plan, source);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(reason(), HasSubstr("tensor extra does not belong"));
  plan.unused = {"extra"};
  EXPECT_EQ(reason(), "accepted");
  const ManifestFile written = write_planned(plan, source, folder_ / "out", {});
  EXPECT_EQ(written, describe_file(folder_ / "out"));
  EXPECT_EQ(read_floats(ShardedTensors::of_file(folder_ / "out"), "qk"), (std::vector<float>{0.5, 1, 3, 4, 9, 9}));
  write_planned(plan, source, folder_ / "half", {.dtype = Dtype::kBF16});
  EXPECT_EQ(read_floats(ShardedTensors::of_file(folder_ / "half"), "qk"), (std::vector<float>{0.5, 1, 3, 4, 9, 9}));
  plan.tensors[0].pieces[0].shape = {1, 2};
  EXPECT_THAT(reason(), HasSubstr("tensor q has shape [2], and the configuration asks for [1, 2]"));
  plan.tensors[0].pieces[0].source = "w";
  EXPECT_THAT(reason(), HasSubstr("tensor w is missing"));
}

}  // namespace
}  // namespace sf
