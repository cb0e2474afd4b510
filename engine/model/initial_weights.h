// What the weights of a new module are drawn from, and how a module that is about to be loaded goes without.
//
//   weight_ = register_parameter("weight", randn_or_empty({outputs, inputs}) / std::sqrt(double(inputs)));
//
//   NoInitialWeights scope;                              // as transformers' no_init_weights
//   auto vlm = std::make_shared<Vlm>(config);
//   load_tensors(bytes, name, vlm->named_parameters());  // fills every one of them, or fails
//
// Drawing normal numbers takes longer than reading the file.
//
// One thread only: a scope is its thread's own. randn_or_empty() is thread-safe.
#pragma once

#include <ATen/ATen.h>

#include <utility>

namespace sf {

inline thread_local bool this_thread_needs_no_initial_weights = false;

// Of the thread that made it. Scopes nest.
class NoInitialWeights {
 public:
  NoInitialWeights() : outer_(std::exchange(this_thread_needs_no_initial_weights, true)) {}
  ~NoInitialWeights() { this_thread_needs_no_initial_weights = outer_; }
  NoInitialWeights(const NoInitialWeights&) = delete;
  NoInitialWeights& operator=(const NoInitialWeights&) = delete;

 private:
  const bool outer_;
};

// [shape] f32: independent normal numbers of mean 0 and variance 1 of torch's generator; memory as it was found within
// a NoInitialWeights. Yields to requests (yield_to_requests.h).
at::Tensor randn_or_empty(at::IntArrayRef shape);

}  // namespace sf
