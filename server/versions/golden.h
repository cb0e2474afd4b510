// golden.json of a checkpoint: images, questions, and the answers that the trainer got for them with a margin between
// the two likeliest tokens that no rounding closes. Format: docs/checkpoint_format.md.
//
//   std::vector<GoldenImage> golden = parse_golden(checkpoint.file("golden.json"));
//
// Thread-safe: plain values and a free function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

struct GoldenQuestion {
  std::string question;
  std::string answer;
};

struct GoldenImage {
  std::string image;  // encoded bytes
  std::vector<GoldenQuestion> questions;
};

// Questions whose margin is not above this are left out: rounding may turn them.
inline constexpr double kMinGoldenMargin = 0.1;
// A file with more questions would hold up every reload.
inline constexpr int kMaxGoldenQuestions = 512;

// Thread-safe. Errors: DataLoss (field "golden.json") with the reason; FailedPrecondition for a newer format_version.
std::vector<GoldenImage> parse_golden(std::string_view json);

}  // namespace sf::server
