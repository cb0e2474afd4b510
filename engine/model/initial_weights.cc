#include "engine/model/initial_weights.h"

#include "engine/base/yield_to_requests.h"

namespace sf {

at::Tensor randn_or_empty(at::IntArrayRef shape) {
  yield_to_requests();
  return this_thread_needs_no_initial_weights ? at::empty(shape) : at::randn(shape);
}

}  // namespace sf
