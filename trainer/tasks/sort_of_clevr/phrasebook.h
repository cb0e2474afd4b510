// Templates -> question texts. A template nests alternatives in [a|b|c]; {c} is the colour word, {o} the object ("red
// circle", "thing that is red"), {s} its plural-free generic noun.
//
//   expand(rng, "[what|which] shape is the {o}", {"red", "circle"});
//
// Thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "trainer/tasks/sort_of_clevr/questions.h"

namespace sf::data {

struct Asked {
  std::string_view colour;      // "red", "gray", "purple"; empty for kDescribe and kOffTopic
  std::string_view shape = {};  // "circle" or "square" where the question may name it; empty = only generic nouns
};

// Effect: chooses alternatives uniformly and fills the slots.
std::string expand(Rng& rng, std::string_view pattern, const Asked& asked);

// The texts of one kind. kAbsentColour and kNonScene have none of their own.
struct Phrases {
  std::string_view canonical;
  std::span<const std::string_view> keyword;  // the colour word last
  std::span<const std::string_view> full;
};
const Phrases& phrases_of(Kind kind);

// Effect: a text of this kind with the small differences of everyday writing (capital letter, question mark, "please").
std::string phrase(Rng& rng, Kind kind, Phrasing phrasing, const Asked& asked);

// A question about anything else: people, weather, sums, greetings, nonsense.
std::string off_topic_text(Rng& rng);
std::span<const std::string_view> off_topic_patterns();

}  // namespace sf::data
