// Questions about a scene in natural language, and their true answers.
//
//   for (const Question& q : sample_questions(rng, scene, mix)) train(q.text, q.answer);
//   for (const Question& q : paper_questions(rng, scene)) score(q);
//
// Thread-safe: free functions; the Rng is the caller's.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/tasks/sort_of_clevr/scene.h"

namespace sf::data {

enum Kind {
  // The paper's non-relational kinds, then its relational ones.
  kShape,
  kLeftRight,
  kTopBottom,
  kClosestShape,
  kFurthestShape,
  kCount,
  // Ours.
  kClosestColour,
  kFurthestColour,
  kDescribe,
  kAbsentColour,  // asks about a colour that the image lacks
  kOffTopic,      // asks about something else
  kNonScene,      // any question about an image that is no scene
};
inline constexpr int kNumKinds = kNonScene + 1;

std::string_view kind_name(Kind kind);  // "shape", "left_right", ...
bool is_relational(Kind kind);

struct Question {
  Kind kind = kShape;
  std::string text;
  std::string answer;
  int object = -1;  // the one asked about; -1 where there is none
  bool relational = false;
  float margin = kNoMargin;  // how far the answer is from being another one: scene.h's margins
};

inline constexpr std::string_view kRefusal = "I can only answer about coloured shapes";

struct QuestionMix {
  int count = 8;
  // By kind; kNonScene is never drawn.
  std::array<float, kNumKinds> weights = {1, 1, 1, 1.5f, 1.5f, 1, 1, 1, 0.5f, 0.5f, 0.35f, 0};
  float keyword = 0.15f;       // keyword forms, the colour word last ("what shape red")
  bool plain_keyword = false;  // keyword questions take the one plain form of their kind
  float canonical = 0.15f;     // the plain wording of paper_questions; the rest are paraphrases
};

// Effect: `mix.count` questions. Kinds that the scene has no answer for (the nearest of one object) are not drawn. A
// scene without objects gives kNonScene questions: any text, refused.
std::vector<Question> sample_questions(Rng& rng, const Scene& scene, const QuestionMix& mix);

// One question of this kind. REQUIRES: `object` is an index where the kind is about one, and is not alone in the scene
// for closest and furthest.
// kPlainKeyword: one keyword form for each kind, lower case, the colour word last and nothing after it.
enum class Phrasing { kCanonical, kKeyword, kMixed, kPlainKeyword };
Question make_question(Rng& rng, const Scene& scene, Kind kind, int object, Phrasing phrasing);

// Effect: the paper's 20: ten non-relational, then ten relational; colour and subtype uniform. REQUIRES: two objects or
// more.
std::vector<Question> paper_questions(Rng& rng, const Scene& scene, Phrasing phrasing = Phrasing::kCanonical);

// The truth: "circle", "left", "3", "a red circle at the top left and ...". REQUIRES: as make_question.
std::string answer_of(const Scene& scene, Kind kind, int object);

// The best accuracy of a guesser that sees the question's text only, over images of six objects.
double blind_optimum(Kind kind);

// Effect: n sentences, questions of every kind and answers alternating: what the tokenizer is trained on.
std::vector<std::string> tokenizer_corpus(Rng& rng, int n);

}  // namespace sf::data
