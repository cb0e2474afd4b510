#include "tests/architecture/include_arrows.h"
#include "tests/support/paths.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace sf::architecture {
namespace {

namespace fs = std::filesystem;

// A made-up tree in a folder of its own.
class IncludeArrowsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "include_arrows.XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  std::vector<std::string> violations() const {
    std::vector<std::string> lines;
    for (const Violation& violation : check_include_arrows(root_).violations) lines.push_back(violation.describe());
    return lines;
  }

  fs::path root_;
};

using Lines = std::vector<std::string>;

TEST(RepositoryTest, NoIncludeCrossesTheArrows) {
  const Report report = check_include_arrows(test::source_dir());
  for (const Violation& violation : report.violations) ADD_FAILURE() << violation.describe();
  EXPECT_GT(report.num_files, 20);
  EXPECT_GT(report.num_includes, 100);
}

TEST_F(IncludeArrowsTest, AcceptsIncludesAlongTheArrows) {
  write("engine/engine.h", "#include <vector>\n#include \"engine/base/error.h\"\n");
  write("engine/base/error.h", "#pragma once\n");
  write("engine/runtime/torch_engine.cc", "#include <torch/torch.h>\n#include \"engine/model/vlm.h\"\n");
  write("server/grpc/service.cc", "#include <grpcpp/grpcpp.h>\n#include \"server/service/service.h\"\n");
  write("tests/server/grpc/service_test.cc", "#include \"server/grpc/service.h\"\n");
  EXPECT_EQ(violations(), Lines{});
}

TEST_F(IncludeArrowsTest, CountsFilesAndIncludes) {
  write("engine/base/error.h", "#include <string>\n  #  include \"engine/base/mutex.h\"\n// #include <not>\n");
  write("engine/base/notes.md", "#include <torch/torch.h>\n");
  const Report report = check_include_arrows(root_);
  EXPECT_EQ(report.num_files, 1);
  EXPECT_EQ(report.num_includes, 2);
}

TEST_F(IncludeArrowsTest, ReportsALowerFolderThatIncludesAHigherOne) {
  write("engine/kernels/moe.cc", "\n#include \"engine/model/vlm.h\"\n");
  write("server/scheduler/scheduler.h", "#include \"server/service/service.h\"\n");
  EXPECT_EQ(violations(),
            (Lines{"engine/kernels/moe.cc:2 includes engine/model/vlm.h: crosses the arrows of docs/architecture.md",
                   "server/scheduler/scheduler.h:1 includes server/service/service.h: crosses the arrows of "
                   "docs/architecture.md"}));
}

TEST_F(IncludeArrowsTest, OnlyMainOfTheServerNamesTheTorchEngine) {
  write("server/main.cc", "#include \"engine/runtime/torch_engine.h\"\n");
  write("server/versions/model_slot.cc", "#include \"engine/runtime/torch_engine.h\"\n");
  ASSERT_EQ(violations().size(), 1u);
  EXPECT_EQ(violations()[0].find("server/versions/model_slot.cc:1"), 0u);
}

TEST_F(IncludeArrowsTest, TrainerServerClientAndTestsStayApart) {
  write("trainer/trainer.cc", "#include \"server/service/service.h\"\n");
  write("client/client.cc", "#include \"engine/image/resize.h\"\n");
  write("engine/runtime/batch.cc", "#include \"tests/support/tiny_model.h\"\n#include \"trainer/losses.h\"\n");
  EXPECT_EQ(violations().size(), 4u);
}

TEST_F(IncludeArrowsTest, TheTrainerKnowsNoTaskAndNoTaskKnowsAnother) {
  write("trainer/trainer.cc", "#include \"trainer/task.h\"\n#include \"trainer/tasks/sort_of_clevr/scene.h\"\n");
  write("trainer/tasks/user_rows/user_data.cc", "#include \"trainer/tasks/sort_of_clevr/scene.h\"\n");
  write("trainer/tasks/registry.cc", "#include \"trainer/tasks/sort_of_clevr/scene.h\"\n");
  write("trainer/main.cc", "#include \"trainer/tasks/registry.h\"\n");
  EXPECT_EQ(violations().size(), 2u);
}

TEST_F(IncludeArrowsTest, LibrariesStayInTheirFolders) {
  write("engine/image/image.cc", "#include <torch/torch.h>\n");
  write("server/service/service.cc", "#include <grpcpp/grpcpp.h>\n#include \"sparsefusion/v1/vqa.pb.h\"\n");
  write("server/http/http_server.cc", "#include <prometheus/registry.h>\n#include <httplib.h>\n");
  write("engine/runtime/batch.cc", "#include <httplib.h>\n");
  write("trainer/data/scene.cc", "#include <ATen/ATen.h>\n");
  EXPECT_EQ(violations(),
            (Lines{"engine/image/image.cc:1 includes torch/torch.h: LibTorch is not for this folder",
                   "engine/runtime/batch.cc:1 includes httplib.h: cpp-httplib is not for this folder",
                   "server/http/http_server.cc:1 includes prometheus/registry.h: prometheus-cpp is not for this folder",
                   "server/service/service.cc:1 includes grpcpp/grpcpp.h: protobuf and gRPC is not for this folder",
                   "server/service/service.cc:2 includes sparsefusion/v1/vqa.pb.h: protobuf and gRPC is not for this "
                   "folder",
                   "trainer/data/scene.cc:1 includes ATen/ATen.h: LibTorch is not for this folder"}));
}

TEST_F(IncludeArrowsTest, SeesLibTorchThroughOurOwnHeaders) {
  write("engine/runtime/torch_engine.h", "#include <torch/torch.h>\n");
  write("server/main.cc", "#include \"engine/runtime/torch_engine.h\"\n");
  EXPECT_EQ(violations(), Lines{"server/main.cc: reaches LibTorch"});
}

TEST_F(IncludeArrowsTest, NoFileReachesLibTorchAndProtobuf) {
  write("engine/model/vlm.h", "#include <torch/torch.h>\n");
  write("tests/integration/both_test.cc", "#include \"engine/model/vlm.h\"\n#include <google/protobuf/message.h>\n");
  ASSERT_EQ(violations().size(), 1u);
  EXPECT_EQ(violations()[0].find("tests/integration/both_test.cc: reaches LibTorch"), 0u);
}

TEST_F(IncludeArrowsTest, IncludesThatGoRoundInCirclesEnd) {
  write("engine/base/a.h", "#include \"engine/base/b.h\"\n");
  write("engine/base/b.h", "#include \"engine/base/a.h\"\n");
  EXPECT_EQ(violations(), Lines{});
}

TEST_F(IncludeArrowsTest, PathsBeginAtTheRootAndAreQuoted) {
  write("engine/base/error.h", "");
  write("engine/base/error.cc", "#include \"error.h\"\n#include \"../base/error.h\"\n#include <engine/base/error.h>\n");
  EXPECT_EQ(violations().size(), 3u);
}

TEST_F(IncludeArrowsTest, EveryFileLiesInAKnownFolder) {
  write("engine/misc/helpers.h", "");
  EXPECT_EQ(violations(), Lines{"engine/misc/helpers.h: lies in no folder that docs/architecture.md knows"});
}

}  // namespace
}  // namespace sf::architecture
