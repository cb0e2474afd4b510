#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/image/image.h"
#include "tests/support/tiny_model.h"
#include "tools/model/commands.h"

namespace sf {
namespace {

class ExplainCommandTest : public testing::Test {
 protected:
  ExplainCommandTest() {
    std::filesystem::create_directory(folder_.path() / "model");
    test::write_tiny_checkpoint(folder_.path() / "model", 11);
    write_file(folder_.path() / "scene.png", test::random_image(3, 90, 70));
    options_.model = (folder_.path() / "model").string();
    options_.image = (folder_.path() / "scene.png").string();
    options_.question = "what shape is the red object?";
    options_.threads = 1;
    options_.max_tokens = 2;
  }

  std::string field_at_fault() {
    try {
      explain_command(options_);
    } catch (const Error& error) {
      return error.field();
    }
    return "none";
  }

  test::TempFolder folder_;
  OfflineCommandOptions options_;
};

TEST_F(ExplainCommandTest, PrintsTheExplainObject) {
  options_.json = true;
  options_.method = "rollout";
  testing::internal::CaptureStdout();
  EXPECT_EQ(explain_command(options_), 0);
  const nlohmann::json json = nlohmann::json::parse(testing::internal::GetCapturedStdout());
  EXPECT_EQ(json["method"], "rollout");
  EXPECT_EQ(json["image"]["width"], 90);
  ASSERT_FALSE(json["tokens"].empty());
  const int cells = json["image"]["grid"][0].get<int>() * json["image"]["grid"][1].get<int>();
  EXPECT_EQ(json["tokens"][0]["heatmap"].size(), size_t(cells));
}

TEST_F(ExplainCommandTest, WritesAImageForEveryTokenAndTwoOfTheExperts) {
  options_.out = (folder_.path() / "new" / "overlays").string();
  testing::internal::CaptureStdout();
  EXPECT_EQ(explain_command(options_), 0);
  const std::string printed = testing::internal::GetCapturedStdout();
  EXPECT_NE(printed.find("logit lens"), std::string::npos);
  EXPECT_NE(printed.find("experts of the text tokens"), std::string::npos);
  for (const char* name : {"relevancy_token0.png", "experts_by_layer.png", "expert_usage.png"}) {
    EXPECT_NE(printed.find(name), std::string::npos);
    EXPECT_GT(decode_image(read_file(std::filesystem::path(options_.out) / name, 1 << 24)).width, 0) << name;
  }
}

TEST_F(ExplainCommandTest, PlaysThePointingGame) {
  options_.explain_data = "sort-of-clevr";
  options_.images = 1;
  testing::internal::CaptureStdout();
  EXPECT_EQ(explain_command(options_), 0);
  const std::string printed = testing::internal::GetCapturedStdout();
  for (const char* part :
       {"pointing game", "shape ", "occlusion near", "co-activation", "vocabulary specialisation", "divergence"}) {
    EXPECT_NE(printed.find(part), std::string::npos) << part;
  }
}

TEST_F(ExplainCommandTest, NamesWhatIsWrong) {
  options_.method = "saliency";
  EXPECT_EQ(field_at_fault(), "method");
  options_.method = "rollout";
  options_.layer = 1;
  EXPECT_EQ(field_at_fault(), "layer");
  options_.layer = -1;
  options_.question.clear();
  EXPECT_EQ(field_at_fault(), "question");
  options_.explain_data = "pets.jsonl";
  EXPECT_EQ(field_at_fault(), "data");
  options_.explain_data = "sort-of-clevr";
  options_.images = 0;
  EXPECT_EQ(field_at_fault(), "images");
}

}  // namespace
}  // namespace sf
