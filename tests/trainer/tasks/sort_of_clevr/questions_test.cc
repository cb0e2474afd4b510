#include "trainer/tasks/sort_of_clevr/questions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/phrasebook.h"

namespace sf::data {
namespace {

Scene three_objects() {  // red circle top left, green square bottom right, grey circle top right
  return {100, 100, {{kGrey, kCircle, 80, 10, 5, 0}, {kRed, kCircle, 20, 20, 5, 0}, {kGreen, kSquare, 70, 90, 5, 0}}};
}

int count_words(const std::string& text) {
  std::istringstream in(text);
  int words = 0;
  for (std::string word; in >> word;) ++words;
  return words;
}

constexpr std::array<Kind, 8> kObjectKinds = {kShape,         kLeftRight, kTopBottom,     kClosestShape,
                                              kFurthestShape, kCount,     kClosestColour, kFurthestColour};

TEST(QuestionsTest, AnswersAreTheContractsWords) {
  const Scene scene = three_objects();
  EXPECT_EQ(answer_of(scene, kShape, 1), "circle");
  EXPECT_EQ(answer_of(scene, kShape, 2), "square");
  EXPECT_EQ(answer_of(scene, kLeftRight, 1), "left");
  EXPECT_EQ(answer_of(scene, kLeftRight, 2), "right");
  EXPECT_EQ(answer_of(scene, kTopBottom, 0), "top");
  EXPECT_EQ(answer_of(scene, kTopBottom, 2), "bottom");
  EXPECT_EQ(answer_of(scene, kCount, 0), "2");
  EXPECT_EQ(answer_of(scene, kCount, 2), "1");
  EXPECT_EQ(answer_of(scene, kClosestColour, 1), "grey");
  EXPECT_EQ(answer_of(scene, kFurthestColour, 1), "green");
  EXPECT_EQ(answer_of(scene, kFurthestShape, 1), "square");
  EXPECT_EQ(answer_of(scene, kDescribe, -1),
            "a red circle at the top left, a green square at the bottom right and a grey circle at the top right");
}

TEST(QuestionsTest, DescribesOneObjectAndUsesAnBeforeOrange) {
  const Scene scene{100, 100, {{kOrange, kSquare, 20, 80, 5, 0}}};
  EXPECT_EQ(answer_of(scene, kDescribe, -1), "an orange square at the bottom left");
}

TEST(QuestionsTest, PaperQuestionsAreTenAndTenInPlainWords) {
  Rng rng(1);
  const std::set<std::string> colours = {"red", "green", "blue", "orange", "grey", "yellow"};
  for (int round = 0; round < 50; ++round) {
    const Scene scene = generate_scene(rng, {});
    const std::vector<Question> questions = paper_questions(rng, scene);
    ASSERT_EQ(questions.size(), 20u);
    for (size_t i = 0; i < questions.size(); ++i) {
      EXPECT_EQ(questions[i].relational, i >= 10);
      EXPECT_EQ(questions[i].answer, answer_of(scene, questions[i].kind, questions[i].object));
      EXPECT_NE(questions[i].text.find(colour_word(scene.objects[questions[i].object].colour)), std::string::npos);
      EXPECT_EQ(questions[i].text.back(), '?');
    }
  }
  EXPECT_THROW(paper_questions(rng, Scene{100, 100, {{kRed, kCircle, 20, 20, 5, 0}}}), Error);
}

TEST(QuestionsTest, EveryKindHasManyWordings) {
  Rng rng(2);
  const Scene scene = three_objects();
  for (int kind = 0; kind < kNumKinds; ++kind) {
    std::set<std::string> texts;
    for (int i = 0; i < 3000; ++i)
      texts.insert(make_question(rng, scene, static_cast<Kind>(kind), 1, Phrasing::kMixed).text);
    EXPECT_GE(texts.size(), 150u) << kind_name(static_cast<Kind>(kind));
    for (const std::string& text : texts) {
      EXPECT_LT(count_words(text), 40) << text;
      if (kind != kOffTopic && kind != kNonScene) {
        EXPECT_EQ(text.find_first_of("[]{}|"), std::string::npos) << text;
      }
      EXPECT_EQ(text.find("  "), std::string::npos) << text;
    }
  }
  EXPECT_GE(off_topic_patterns().size(), 150u);
  for (const Kind kind : kObjectKinds) EXPECT_GE(phrases_of(kind).full.size(), 24u) << kind_name(kind);
}

TEST(QuestionsTest, EveryWordingNamesItsColourExactlyOnce) {
  Rng rng(3);
  for (const Kind kind : kObjectKinds) {
    for (const auto& list : {phrases_of(kind).keyword, phrases_of(kind).full}) {
      for (const std::string_view pattern : list) {
        for (int i = 0; i < 20; ++i) {
          const std::string text = expand(rng, pattern, {"purple", "circle"});
          const size_t first = text.find("purple");
          ASSERT_NE(first, std::string::npos) << text;
          EXPECT_EQ(text.find("purple", first + 1), std::string::npos) << text;
        }
      }
    }
  }
}

TEST(QuestionsTest, KeywordFormsEndWithTheColour) {
  Rng rng(4);
  for (const Kind kind : kObjectKinds) {
    for (const std::string_view pattern : phrases_of(kind).keyword) {
      EXPECT_TRUE(pattern.ends_with("{c}")) << pattern;
    }
    std::string text = make_question(rng, three_objects(), kind, 1, Phrasing::kKeyword).text;
    std::erase_if(text, [](char c) { return c == '?' || c == '.' || c == ' '; });
    EXPECT_TRUE(text.ends_with("red")) << text;
  }
}

TEST(QuestionsTest, AQuestionAboutAShapeNeverNamesIt) {
  Rng rng(5);
  const Scene scene = three_objects();
  for (int i = 0; i < 3000; ++i) {
    const std::string text = make_question(rng, scene, kShape, 1, Phrasing::kMixed).text;
    if (text.find("circle or square") != std::string::npos) continue;
    EXPECT_EQ(text.find("red circle"), std::string::npos) << text;
    EXPECT_EQ(text.find("red disc"), std::string::npos) << text;
  }
}

TEST(QuestionsTest, NounsThatNameAShapeAreTrue) {
  Rng rng(6);
  const Scene scene = three_objects();
  for (int i = 0; i < 2000; ++i) {
    const std::string text = make_question(rng, scene, kClosestColour, 1, Phrasing::kMixed).text;  // the red circle
    for (const char* wrong : {"red square", "red box", "red rectangle"})
      EXPECT_EQ(text.find(wrong), std::string::npos) << text;
  }
}

TEST(QuestionsTest, AbsentColoursAreAbsent) {
  Rng rng(7);
  for (int round = 0; round < 2000; ++round) {
    const Scene scene = generate_scene(rng, {.min_objects = 1, .max_objects = 6});
    const Question q = make_question(rng, scene, kAbsentColour, -1, Phrasing::kMixed);
    std::istringstream words(q.answer);
    std::string there, is, no, colour, object;
    words >> there >> is >> no >> colour >> object;
    ASSERT_EQ(q.answer, "there is no " + colour + " object");
    EXPECT_NE(colour, "gray");
    for (const Object& o : scene.objects) EXPECT_NE(colour, colour_word(o.colour));
    const std::string asked = colour == "grey" && q.text.find("gray") != std::string::npos ? "gray" : colour;
    std::string lower = q.text;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    EXPECT_NE(lower.find(asked), std::string::npos) << q.text;
  }
}

TEST(QuestionsTest, ImagesWithoutObjectsRefuseEverything) {
  Rng rng(8);
  QuestionMix mix;
  mix.count = 50;
  for (const Question& q : sample_questions(rng, Scene{100, 100, {}}, mix)) {
    EXPECT_EQ(q.kind, kNonScene);
    EXPECT_EQ(q.answer, kRefusal);
    EXPECT_FALSE(q.text.empty());
  }
}

TEST(QuestionsTest, ALoneObjectIsNeverAskedForItsNeighbours) {
  Rng rng(9);
  QuestionMix mix;
  mix.count = 500;
  const Scene scene{100, 100, {{kBlue, kSquare, 20, 20, 5, 0}}};
  for (const Question& q : sample_questions(rng, scene, mix)) {
    EXPECT_NE(q.kind, kClosestShape);
    EXPECT_NE(q.kind, kFurthestColour);
  }
  EXPECT_THROW(make_question(rng, scene, kClosestShape, 0, Phrasing::kMixed), Error);
}

TEST(QuestionsTest, KindsFollowTheirWeights) {
  Rng rng(10);
  QuestionMix mix;
  mix.count = 20000;
  mix.weights = {};
  mix.weights[kShape] = 3;
  mix.weights[kDescribe] = 1;
  std::map<Kind, int> counts;
  for (const Question& q : sample_questions(rng, three_objects(), mix)) ++counts[q.kind];
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts[kShape], 15000, 300);
  mix.weights = {};
  mix.weights[kClosestShape] = 1;
  EXPECT_THROW(sample_questions(rng, Scene{100, 100, {{kBlue, kSquare, 20, 20, 5, 0}}}, mix), Error);
}

TEST(QuestionsTest, EqualSeedsAskEqualQuestions) {
  Rng a(11), b(11);
  const auto x = sample_questions(a, three_objects(), {}), y = sample_questions(b, three_objects(), {});
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i].text, y[i].text);
}

TEST(QuestionsTest, AGuesserReachesTheBlindOptimumAndNotMore) {
  Rng rng(12);
  std::map<Kind, std::map<std::string, int>> answers;
  std::map<Kind, int> asked;
  for (int round = 0; round < 4000; ++round) {
    const Scene scene = generate_scene(rng, {});
    for (const Kind kind : kObjectKinds) {
      ++answers[kind][answer_of(scene, kind, rng.below(6))];
      ++asked[kind];
    }
  }
  for (const Kind kind : kObjectKinds) {
    int best = 0;
    for (const auto& [answer, count] : answers[kind]) best = std::max(best, count);
    // Colours: a guesser that leaves the asked colour out has five to choose from.
    const double reached =
        double(best) / asked[kind] * (kind == kClosestColour || kind == kFurthestColour ? 6.0 / 5 : 1);
    EXPECT_NEAR(reached, blind_optimum(kind), 0.03) << kind_name(kind);
  }
}

TEST(QuestionsTest, TheTokenizerSeesEveryAnswer) {
  Rng rng(13);
  const std::vector<std::string> corpus = tokenizer_corpus(rng, 20000);
  EXPECT_EQ(corpus.size(), 20000u);
  const std::set<std::string> sentences(corpus.begin(), corpus.end());
  for (const char* answer : {"circle", "square", "left", "right", "top", "bottom", "1", "2", "3", "4", "5", "6", "red",
                             "grey", "there is no purple object", "there is no grey object"}) {
    EXPECT_TRUE(sentences.count(answer)) << answer;
  }
  EXPECT_TRUE(sentences.count(std::string(kRefusal)));
}

TEST(PhrasebookTest, ExpandsNestedAndEmptyAlternatives) {
  Rng rng(1);
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) seen.insert(expand(rng, "a[ b[c|d]|] {c}", {"red"}));
  EXPECT_EQ(seen, (std::set<std::string>{"a bc red", "a bd red", "a red"}));
  EXPECT_THROW(expand(rng, "a[b", {"red"}), Error);
  EXPECT_THROW(expand(rng, "{z}", {"red"}), Error);
}

}  // namespace
}  // namespace sf::data
