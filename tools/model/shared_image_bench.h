// What the prefix cache saves: many questions about one image against as many images with one question each, by the
// same engine, in turn. Reading and resizing the images is in neither: it is the same for both.
//
//   SharedImageTimes times = measure_shared_image(*engine, {.questions = 20, .batch = 1, .rounds = 5});
//
// One thread only: the engine's.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace sf {

struct SharedImageOptions {
  int questions = 20;
  int batch = 1;   // sequences at once
  int rounds = 5;  // every round has images of its own
  uint64_t seed = 7;
};

struct SharedImageTimes {
  std::vector<double> one_ms, many_ms;  // of all answers, by round
  int one_images = 0, many_images = 0;  // encoded in the last round
};

// REQUIRES: the engine has no other requests; each round's images are new to it.
SharedImageTimes measure_shared_image(Engine& engine, const SharedImageOptions& options);

}  // namespace sf
