#include "engine/explain/explanation_json.h"

#include <gtest/gtest.h>

#include "tests/engine/explain/explanation_fixture.h"

namespace sf {
namespace {

TEST(ExplanationJsonTest, IsTheExplainObject) {
  const nlohmann::json json =
      nlohmann::json::parse(explanation_json(test::small_explanation(), {{"model_version", 3}}).dump());
  EXPECT_EQ(json["answer"], "red");
  EXPECT_EQ(json["model_version"], 3);
  EXPECT_EQ(json["method"], "occlusion");
  EXPECT_EQ(json["image"], nlohmann::json({{"width", 60}, {"height", 40}, {"grid", {2, 3}}}));
  ASSERT_EQ(json["tokens"].size(), 1u);
  EXPECT_EQ(json["tokens"][0]["text"], "red");
  EXPECT_EQ(json["tokens"][0]["id"], 7);
  EXPECT_EQ(json["tokens"][0]["logprob"], -0.25);
  EXPECT_EQ(json["tokens"][0]["heatmap"], nlohmann::json({0.0, 0.0, 0.125, 0.0, 0.25, 0.625}));
  EXPECT_EQ(json["experts"]["num_experts"], 4);
  EXPECT_EQ(json["experts"]["top_k"], 2);
  ASSERT_EQ(json["experts"]["tokens"].size(), 7u);
  EXPECT_EQ(json["experts"]["tokens"][1]["modality"], "image");
  EXPECT_EQ(json["experts"]["tokens"][1]["ids"], nlohmann::json({{0, 1}, {1, 3}}));
  EXPECT_EQ(json["experts"]["tokens"][6]["modality"], "text");
  EXPECT_EQ(json["experts"]["tokens"][6]["gates"], nlohmann::json({{0.5, 0.5}, {1.0, 0.0}}));
  ASSERT_EQ(json["logit_lens"].size(), 2u);
  EXPECT_EQ(json["logit_lens"][0]["layer"], 0);
  EXPECT_EQ(json["logit_lens"][0]["answer_rank"], 2);
  EXPECT_EQ(json["logit_lens"][0]["top"][1], nlohmann::json({{"token", " red"}, {"prob", 0.25}}));
}

TEST(ExplanationJsonTest, AnEmptyAnswerHasEmptyLists) {
  const nlohmann::json json = explanation_json(Explanation{});
  EXPECT_EQ(json["tokens"], nlohmann::json::array());
  EXPECT_EQ(json["logit_lens"], nlohmann::json::array());
  EXPECT_EQ(json["experts"]["tokens"], nlohmann::json::array());
}

}  // namespace
}  // namespace sf
