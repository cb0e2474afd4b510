#include "trainer/tasks/sort_of_clevr/questions.h"

#include <algorithm>

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/phrasebook.h"

namespace sf::data {
namespace {

constexpr std::array<std::string_view, 26> kForeignColours = {
    "purple", "pink",   "brown",    "black", "white",  "cyan",   "turquoise", "violet", "magenta",
    "maroon", "teal",   "beige",    "gold",  "silver", "purple", "pink",      "brown",  "black",
    "white",  "indigo", "lavender", "tan",   "bronze", "olive",  "coral",     "ivory"};
constexpr std::array<Kind, 8> kObjectKinds = {kShape,         kLeftRight, kTopBottom,     kClosestShape,
                                              kFurthestShape, kCount,     kClosestColour, kFurthestColour};

std::string asked_word(Rng& rng, Colour colour, Phrasing phrasing) {
  const bool varied = phrasing != Phrasing::kCanonical && phrasing != Phrasing::kPlainKeyword;
  if (colour == kGrey && varied && rng.chance(0.4f)) return "gray";
  return std::string(colour_word(colour));
}

std::string place_words(const Scene& scene, int object) {
  return std::string(in_top_half(scene, object) ? "top " : "bottom ") +
         (left_of_centre(scene, object) ? "left" : "right");
}

// "a red circle at the top left, an orange square at the bottom right and ...", in the order of the colours.
std::string describe(const Scene& scene) {
  std::vector<int> order;
  for (int colour = 0; colour < kNumColours; ++colour) {
    if (const int i = find_colour(scene, static_cast<Colour>(colour)); i >= 0) order.push_back(i);
  }
  std::string text;
  for (size_t i = 0; i < order.size(); ++i) {
    const Object& object = scene.objects[order[i]];
    if (i > 0) text += i + 1 == order.size() ? " and " : ", ";
    text += object.colour == kOrange ? "an " : "a ";
    text += colour_word(object.colour);
    text += " ";
    text += shape_word(object.shape);
    text += " at the " + place_words(scene, order[i]);
  }
  return text;
}

float margin_of(const Scene& scene, Kind kind, int object) {
  switch (kind) {
    case kLeftRight:
      return left_right_margin(scene, object);
    case kTopBottom:
      return top_bottom_margin(scene, object);
    case kClosestShape:
    case kClosestColour:
      return nearest_margin(scene, object);
    case kFurthestShape:
    case kFurthestColour:
      return furthest_margin(scene, object);
    default:
      return kNoMargin;
  }
}

bool needs_another(Kind kind) {
  return kind == kClosestShape || kind == kFurthestShape || kind == kClosestColour || kind == kFurthestColour;
}

Question absent_colour(Rng& rng, const Scene& scene, Phrasing phrasing) {
  std::string colour(rng.pick(kForeignColours));
  if (scene.objects.size() < kNumColours && rng.chance(0.6f)) {
    Colour missing;
    do {
      missing = static_cast<Colour>(rng.below(kNumColours));
    } while (find_colour(scene, missing) >= 0);
    colour = asked_word(rng, missing, phrasing);
  }
  Question question;
  question.kind = kAbsentColour;
  const auto shape =
      phrasing == Phrasing::kMixed && rng.chance(0.5f) ? shape_word(rng.chance(0.5f) ? kCircle : kSquare) : "";
  const Kind form = rng.pick(kObjectKinds);
  question.text = phrase(rng, form, phrasing, {colour, form == kShape ? "" : shape});
  question.answer = "there is no " + (colour == "gray" ? "grey" : colour) + " object";
  return question;
}

Question non_scene(Rng& rng, Phrasing phrasing) {
  Question question;
  question.kind = kNonScene;
  question.answer = kRefusal;
  const float u = rng.uniform();
  if (u < 0.25f) {
    question.text = phrase(rng, kDescribe, phrasing, {});
  } else if (u < 0.4f) {
    question.text = off_topic_text(rng);
  } else {
    const Kind form = rng.pick(kObjectKinds);
    const bool foreign = rng.chance(0.25f);
    const std::string colour = foreign ? std::string(rng.pick(kForeignColours))
                                       : asked_word(rng, static_cast<Colour>(rng.below(kNumColours)), phrasing);
    const auto shape =
        phrasing == Phrasing::kMixed && form != kShape ? shape_word(rng.chance(0.5f) ? kCircle : kSquare) : "";
    question.text = phrase(rng, form, phrasing, {colour, shape});
  }
  return question;
}

Phrasing draw_phrasing(Rng& rng, const QuestionMix& mix) {
  const float u = rng.uniform();
  if (u < mix.keyword) return mix.plain_keyword ? Phrasing::kPlainKeyword : Phrasing::kKeyword;
  return u < mix.keyword + mix.canonical * (1 - mix.keyword) ? Phrasing::kCanonical : Phrasing::kMixed;
}

Kind draw_kind(Rng& rng, const std::array<float, kNumKinds>& weights) {
  float total = 0;
  for (const float weight : weights) total += weight;
  SF_REQUIRE(total > 0, "question mix: no kind has a weight that this scene can answer");
  float at = rng.uniform() * total;
  int last = 0;
  for (int kind = 0; kind < kNumKinds; ++kind) {
    if (weights[kind] <= 0) continue;
    last = kind;
    if ((at -= weights[kind]) < 0) break;
  }
  return static_cast<Kind>(last);
}

}  // namespace

std::string_view kind_name(Kind kind) {
  static constexpr std::array<std::string_view, kNumKinds> kNames = {
      "shape",          "left_right",      "top_bottom", "closest_shape", "furthest_shape", "count",
      "closest_colour", "furthest_colour", "describe",   "absent_colour", "off_topic",      "non_scene"};
  return kNames[kind];
}

bool is_relational(Kind kind) { return kind == kCount || needs_another(kind); }

std::string answer_of(const Scene& scene, Kind kind, int object) {
  const auto shape_of = [&](int i) { return std::string(shape_word(scene.objects[i].shape)); };
  const auto colour_of = [&](int i) { return std::string(colour_word(scene.objects[i].colour)); };
  switch (kind) {
    case kShape:
      return shape_of(object);
    case kLeftRight:
      return left_of_centre(scene, object) ? "left" : "right";
    case kTopBottom:
      return in_top_half(scene, object) ? "top" : "bottom";
    case kClosestShape:
      return shape_of(nearest(scene, object));
    case kFurthestShape:
      return shape_of(furthest(scene, object));
    case kCount:
      return std::to_string(same_shape_count(scene, object));
    case kClosestColour:
      return colour_of(nearest(scene, object));
    case kFurthestColour:
      return colour_of(furthest(scene, object));
    case kDescribe:
      return describe(scene);
    default:
      return std::string(kRefusal);
  }
}

Question make_question(Rng& rng, const Scene& scene, Kind kind, int object, Phrasing phrasing) {
  if (kind == kNonScene) return non_scene(rng, phrasing);
  if (kind == kAbsentColour) return absent_colour(rng, scene, phrasing);
  SF_REQUIRE(!needs_another(kind) || scene.objects.size() >= 2, "question: no other object for kind ", kind_name(kind));
  Question question;
  question.kind = kind;
  question.relational = is_relational(kind);
  question.margin = margin_of(scene, kind, object);
  question.answer = answer_of(scene, kind, object);
  Asked asked;
  std::string colour;
  if (kind != kDescribe && kind != kOffTopic) {
    question.object = object;
    colour = asked_word(rng, scene.objects[object].colour, phrasing);
    asked.colour = colour;
    if (kind != kShape) asked.shape = shape_word(scene.objects[object].shape);
  }
  question.text = phrase(rng, kind, phrasing, asked);
  return question;
}

std::vector<Question> sample_questions(Rng& rng, const Scene& scene, const QuestionMix& mix) {
  const int num_objects = static_cast<int>(scene.objects.size());
  std::array<float, kNumKinds> weights = mix.weights;
  weights[kNonScene] = 0;
  if (num_objects < 2) {
    for (const Kind kind : {kClosestShape, kFurthestShape, kClosestColour, kFurthestColour}) weights[kind] = 0;
  }
  std::vector<Question> questions;
  for (int i = 0; i < mix.count; ++i) {
    const Phrasing phrasing = draw_phrasing(rng, mix);
    if (num_objects == 0) {
      questions.push_back(non_scene(rng, phrasing));
    } else {
      const Kind kind = draw_kind(rng, weights);
      questions.push_back(make_question(rng, scene, kind, rng.below(num_objects), phrasing));
    }
  }
  return questions;
}

std::vector<Question> paper_questions(Rng& rng, const Scene& scene, Phrasing phrasing) {
  SF_REQUIRE(scene.objects.size() >= 2, "paper questions: a scene of two objects or more is needed");
  constexpr std::array<Kind, 3> kPlain = {kShape, kLeftRight, kTopBottom};
  constexpr std::array<Kind, 3> kRelational = {kClosestShape, kFurthestShape, kCount};
  std::vector<Question> questions;
  for (int i = 0; i < 20; ++i) {
    const Kind kind = rng.pick(i < 10 ? kPlain : kRelational);
    questions.push_back(make_question(rng, scene, kind, rng.below(static_cast<int>(scene.objects.size())), phrasing));
  }
  return questions;
}

double blind_optimum(Kind kind) {
  switch (kind) {
    case kShape:
    case kLeftRight:
    case kTopBottom:
    case kClosestShape:
    case kFurthestShape:
      return 0.5;
    case kCount:
      return 0.3125;  // 1 + Binomial(5, 1/2): three or four, 10/32 each
    case kClosestColour:
    case kFurthestColour:
      return 0.2;  // five others
    case kDescribe:
      return 1.0 / 262144;  // 2 shapes x 4 places for six objects
    case kAbsentColour:
    case kOffTopic:
      return 1;  // the text alone tells, where all six colours are present
    case kNonScene:
      return 0;  // the text alone never tells
  }
  return 0;
}

std::vector<std::string> tokenizer_corpus(Rng& rng, int n) {
  std::vector<std::string> sentences;
  QuestionMix mix;
  mix.weights[kDescribe] = mix.weights[kAbsentColour] = 1;
  mix.weights[kOffTopic] = 2;
  while (static_cast<int>(sentences.size()) < n) {
    const Scene scene = generate_scene(rng, {.min_objects = 1, .max_objects = 6});
    for (Question& question : sample_questions(rng, scene, mix)) {
      sentences.push_back(std::move(question.text));
      sentences.push_back(std::move(question.answer));
    }
  }
  sentences.resize(static_cast<size_t>(std::max(n, 0)));
  return sentences;
}

}  // namespace sf::data
