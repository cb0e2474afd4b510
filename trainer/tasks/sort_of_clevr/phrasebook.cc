#include "trainer/tasks/sort_of_clevr/phrasebook.h"

#include <array>
#include <cctype>
#include <vector>

#include "engine/base/error.h"

namespace sf::data {
namespace {

constexpr std::array<std::string_view, 6> kNouns = {"object", "object", "one", "shape", "thing", "item"};
constexpr std::array<std::string_view, 4> kCircleNouns = {"circle", "circle", "disc", "disk"};
constexpr std::array<std::string_view, 4> kSquareNouns = {"square", "square", "rectangle", "box"};

std::string noun(Rng& rng, const Asked& asked) {
  if (!asked.shape.empty() && rng.chance(0.25f)) {
    return std::string(rng.pick(asked.shape == "circle" ? kCircleNouns : kSquareNouns));
  }
  return std::string(rng.pick(kNouns));
}

std::string object_words(Rng& rng, const Asked& asked) {
  const std::string colour(asked.colour);
  const std::string what = noun(rng, asked);
  const float u = rng.uniform();
  if (u < 0.88f) return colour + " " + what;
  if (u < 0.92f) return colour + (rng.chance(0.5f) ? " coloured " : " colored ") + what;
  if (u < 0.96f) return what + " that is " + colour;
  return what + " in " + colour;
}

// Index behind the bracket that closes the one at `open`.
size_t closing(std::string_view pattern, size_t open) {
  int depth = 0;
  for (size_t i = open; i < pattern.size(); ++i) {
    if (pattern[i] == '[') ++depth;
    if (pattern[i] == ']' && --depth == 0) return i;
  }
  SF_CHECK(false, "template: unbalanced bracket in ", pattern);
  return pattern.size();
}

std::vector<std::string_view> alternatives(std::string_view body) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '[') ++depth;
    if (body[i] == ']') --depth;
    if (body[i] == '|' && depth == 0) {
      parts.push_back(body.substr(start, i - start));
      start = i + 1;
    }
  }
  parts.push_back(body.substr(start));
  return parts;
}

std::string slot(Rng& rng, char name, const Asked& asked) {
  switch (name) {
    case 'c':
      return std::string(asked.colour);
    case 'o':
      return object_words(rng, asked);
    case 's':
      return std::string(rng.pick(kNouns));
    default:
      SF_CHECK(false, "template: unknown slot ", name);
      return {};
  }
}

// Single spaces, none at the ends: alternatives may be empty.
std::string tidy(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void decorate(Rng& rng, bool keyword, std::string& text) {
  static constexpr std::array<std::string_view, 12> kPrefixes = {
      "please tell me: ", "can you tell me ",  "could you tell me ", "tell me, ",
      "please, ",         "i want to know: ",  "question: ",         "hey, ",
      "do you know ",     "in this picture, ", "in the image, ",     "answer me: "};
  static constexpr std::array<std::string_view, 6> kSuffixes = {" please",        ", please",      " in the picture",
                                                                " in this image", " in the image", " here"};
  if (!keyword && rng.chance(0.12f)) text = std::string(rng.pick(kPrefixes)) + text;
  if (!keyword && rng.chance(0.08f)) text += rng.pick(kSuffixes);
  const float ending = rng.uniform();
  if (ending < (keyword ? 0.3f : 0.6f))
    text += '?';
  else if (ending > 0.97f)
    text += rng.chance(0.5f) ? " ?" : ".";
  if (rng.chance(0.35f)) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
}

}  // namespace

std::string expand(Rng& rng, std::string_view pattern, const Asked& asked) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '[') {
      const size_t end = closing(pattern, i);
      out += expand(rng, rng.pick(alternatives(pattern.substr(i + 1, end - i - 1))), asked);
      i = end;
    } else if (pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}') {
      out += slot(rng, pattern[i + 1], asked);
      i += 2;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

std::string phrase(Rng& rng, Kind kind, Phrasing phrasing, const Asked& asked) {
  if (kind == kOffTopic) return off_topic_text(rng);
  const Phrases& phrases = phrases_of(kind);
  if (phrasing == Phrasing::kCanonical) return expand(rng, phrases.canonical, asked);
  if (phrasing == Phrasing::kPlainKeyword) return tidy(expand(rng, phrases.keyword.front(), asked));
  const bool keyword = phrasing == Phrasing::kKeyword;
  std::string text = tidy(expand(rng, rng.pick(keyword ? phrases.keyword : phrases.full), asked));
  decorate(rng, keyword, text);
  return text;
}

std::string off_topic_text(Rng& rng) {
  std::string text = tidy(expand(rng, rng.pick(off_topic_patterns()), {.colour = "red"}));
  decorate(rng, rng.chance(0.5f), text);
  return text;
}

}  // namespace sf::data
