// Which of a user's rows are trained on and which are held out. An image is never on both sides.
//
//   const HeldOutSplit split = split_rows(load_user_data("pets.jsonl", {}), nullptr, 0.05);
//
// Thread-safe: free functions without state.
#pragma once

#include <string>
#include <vector>

#include "trainer/tasks/user_rows/user_data.h"

namespace sf::data {

struct HeldOutSplit {
  // Each with the rows of its side.
  std::vector<UserImage> training, held_out;  // held_out by ascending sha256 of the bytes
  int64_t training_rows = 0, held_out_rows = 0;
  int64_t dropped_rows = 0;  // on neither side: to train on, of an image that is held out
};

// A score over fewer held-out rows than this means little.
inline constexpr int64_t kFewRows = 40;

// Effect: the held-out part is `evaluation` where it is given, else the rows whose `split` is "eval", else `fraction`
// of the rows, at least 32 and at most a fifth of them (but one image): those of the images whose bytes have the lowest
// sha256, so that a file that grows keeps most of it. Errors: InvalidArgument (field "data") where nothing is left to
// train on or nothing can be held out.
HeldOutSplit split_rows(UserData data, const UserData* evaluation, double fraction);

}  // namespace sf::data
