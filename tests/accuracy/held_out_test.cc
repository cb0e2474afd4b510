// The bundled model on images that its generator never drew: a second renderer, other non-scenes, encoded files,
// through the engine as the server runs it. SF_HELD_OUT_PICTURES sets how many (the default is small enough for CI).
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <map>

#include "engine/base/file.h"
#include "engine/runtime/torch_engine.h"
#include "tests/support/example_images.h"
#include "tests/support/paths.h"
#include "tests/support/second_renderer.h"
#include "tools/model/offline_runner.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf {
namespace {

struct Asked {
  OfflineRequest request;
  data::Question question;
};

struct Tally {
  int asked = 0, right = 0;
  double share() const { return asked ? double(right) / asked : 0; }
};

int images() {
  const char* given = std::getenv("SF_HELD_OUT_PICTURES");
  return given ? std::max(1, std::atoi(given)) : 40;
}

Engine& demo() {
  // One thread: two that wait for each other at every barrier are slower than one on a busy machine.
  static std::unique_ptr<Engine> engine =
      make_torch_engine(open_checkpoint(test::source_dir() + "/models/demo"), {.threads = 1});
  return *engine;
}

bool is_refusal(const std::string& answer) { return answer == data::kRefusal || answer.rfind("there is no ", 0) == 0; }

std::map<std::string, Tally> ask(const std::string& title, const std::vector<Asked>& asked,
                                 const std::function<bool(const Asked&, const std::string&)>& right) {
  std::vector<OfflineRequest> requests;
  for (const Asked& one : asked) requests.push_back(one.request);
  const std::vector<OfflineAnswer> answers = run_offline(demo(), requests, {});
  std::map<std::string, Tally> tally;
  for (size_t i = 0; i < asked.size(); ++i) {
    const bool good = answers[i].error.empty() && right(asked[i], answers[i].text);
    for (const std::string& key : {std::string("all"), std::string(data::kind_name(asked[i].question.kind)),
                                   std::string(asked[i].question.relational ? "relational" : "non_relational")}) {
      ++tally[key].asked;
      tally[key].right += good;
    }
    if (!good && std::getenv("SF_SHOW_WRONG")) {
      std::printf("  wrong: %s -> %s, expected %s\n", asked[i].question.text.c_str(), answers[i].text.c_str(),
                  asked[i].question.answer.c_str());
    }
  }
  for (const auto& [key, t] : tally)
    std::printf("%-28s %-16s %5d asked %7.2f%% right\n", title.c_str(), key.c_str(), t.asked, 100 * t.share());
  return tally;
}

bool exact(const Asked& asked, const std::string& answer) { return answer == asked.question.answer; }

TEST(HeldOutTest, AnswersThePapersQuestionsOnPlainImages) {
  std::vector<Asked> asked;
  for (int i = 0; i < images(); ++i) {
    data::Rng rng(424'242, i);
    const data::Scene scene = data::generate_scene(rng, {});
    const std::string png = data::encode_png(data::render(scene, data::plain_style(), rng));
    for (const data::Question& q : data::paper_questions(rng, scene)) asked.push_back({{png, q.text, {}}, q});
  }
  auto tally = ask("paper", asked, exact);
  EXPECT_GE(tally["non_relational"].share(), 0.97);
  EXPECT_GE(tally["relational"].share(), 0.93);
}

TEST(HeldOutTest, AnswersOnTheSecondRenderersImages) {
  std::vector<Asked> asked;
  for (int i = 0; i < images(); ++i) {
    data::Rng rng(515'151, i);
    const test::HeldOut held = test::draw_held_out(rng, 6, 6);
    if (held.scene.objects.size() < 2) continue;
    const std::string bytes = test::encode_somehow(rng, held.image);
    for (const data::Question& q : data::paper_questions(rng, held.scene, data::Phrasing::kMixed))
      asked.push_back({{bytes, q.text, {}}, q});
  }
  auto tally = ask("second renderer", asked, exact);
  EXPECT_GE(tally["non_relational"].share(), 0.95);
  EXPECT_GE(tally["relational"].share(), 0.90);
}

TEST(HeldOutTest, DescribesEveryObject) {
  std::vector<Asked> asked;
  for (int i = 0; i < images(); ++i) {
    data::Rng rng(616'161, i);
    const test::HeldOut held = test::draw_held_out(rng, 2, 6);
    if (held.scene.objects.empty()) continue;
    const data::Question q = data::make_question(rng, held.scene, data::kDescribe, -1, data::Phrasing::kMixed);
    asked.push_back({{test::encode_somehow(rng, held.image), q.text, {}}, q});
  }
  EXPECT_GE(ask("describe", asked, exact)["all"].share(), 0.85);
}

TEST(HeldOutTest, RefusesColoursThatAreNotThere) {
  std::vector<Asked> asked;
  for (int i = 0; i < images(); ++i) {
    data::Rng rng(717'171, i);
    const test::HeldOut held = test::draw_held_out(rng, 2, 6);
    data::QuestionMix mix;
    mix.count = 5;
    mix.weights.fill(0);
    mix.weights[data::kAbsentColour] = 1;
    const std::string bytes = test::encode_somehow(rng, held.image);
    for (const data::Question& q : data::sample_questions(rng, held.scene, mix))
      asked.push_back({{bytes, q.text, {}}, q});
  }
  EXPECT_GE(
      ask("absent colour", asked, [](const Asked&, const std::string& a) { return is_refusal(a); })["all"].share(),
      0.95);
}

TEST(HeldOutTest, RefusesImagesThatAreNoScenes) {
  std::vector<Asked> asked;
  for (int i = 0; i < images() * 2; ++i) {
    data::Rng rng(818'181, i);
    const std::string bytes = test::encode_somehow(rng, test::draw_held_out_non_scene(rng));
    data::QuestionMix mix;
    mix.count = 1;
    for (const data::Question& q : data::sample_questions(rng, {}, mix)) asked.push_back({{bytes, q.text, {}}, q});
  }
  EXPECT_GE(ask("no scene", asked, [](const Asked&, const std::string& a) { return is_refusal(a); })["all"].share(),
            0.85);
}

TEST(HeldOutTest, DoesNotRefuseWhatItCanAnswer) {
  std::vector<Asked> asked;
  for (int i = 0; i < images(); ++i) {
    data::Rng rng(919'191, i);
    const test::HeldOut held = test::draw_held_out(rng, 3, 6);
    if (held.scene.objects.size() < 2) continue;
    const std::string bytes = test::encode_somehow(rng, held.image);
    for (const data::Question& q : data::paper_questions(rng, held.scene, data::Phrasing::kMixed))
      asked.push_back({{bytes, q.text, {}}, q});
  }
  EXPECT_GE(ask("not refused", asked, [](const Asked&, const std::string& a) { return !is_refusal(a); })["all"].share(),
            0.98);
}

TEST(ExamplesTest, EveryExampleIsAnsweredRight) {
  std::vector<Asked> asked;
  for (const test::ExampleImage& image : test::example_images()) {
    const std::string bytes = read_file(test::source_dir() + "/examples/" + image.file, 10 << 20);
    for (const data::Question& q : image.questions) asked.push_back({{bytes, q.text, {}}, q});
  }
  EXPECT_GE(ask("examples", asked, exact)["all"].share(), 0.95);
}

}  // namespace
}  // namespace sf
