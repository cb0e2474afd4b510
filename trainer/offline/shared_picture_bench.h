// What the prefix cache saves: many questions about one picture against as many pictures with one question each, by the
// same engine, in turns. Reading and resizing the pictures is in neither: it is the same for both.
//
//   SharedPictureTimes times = measure_shared_picture(*engine, {.questions = 20, .batch = 1, .rounds = 5});
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace sf {

struct SharedPictureOptions {
  int questions = 20;
  int batch = 1;   // sequences at once
  int rounds = 5;  // every round has pictures of its own
  uint64_t seed = 7;
};

struct SharedPictureTimes {
  std::vector<double> one_ms, many_ms;  // of all answers, by round
  int one_images = 0, many_images = 0;  // encoded in the last round
};

// REQUIRES: the engine answers nobody else; each round's pictures are new to it.
SharedPictureTimes measure_shared_picture(Engine& engine, const SharedPictureOptions& options);

}  // namespace sf
