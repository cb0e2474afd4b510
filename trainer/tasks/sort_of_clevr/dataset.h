// One batch of training: images of one grid, each with its questions. Batch i is a function of (seed, i) alone, so
// any number of worker threads makes the same stream, and a resumed run goes on exactly where it stopped (Prefetcher in
// the trainer adds the threads).
//
//   Batch batch = make_batch({.samples = {...}, .questions = {...}, .batch_size = 16}, seed, step);
//
// Thread-safe: free functions without state.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data {

struct DatasetOptions {
  SampleOptions samples;
  QuestionMix questions;
  int batch_size = 16;
};

struct Batch {
  GridSize grid;
  std::vector<Sample> samples;                   // all of `grid`
  std::vector<std::vector<Question>> questions;  // one list for each sample
};

// Effect: generates batch `index` of the stream `seed`. REQUIRES: batch_size >= 1, index >= 0.
Batch make_batch(const DatasetOptions& options, uint64_t seed, int64_t index);

}  // namespace sf::data
