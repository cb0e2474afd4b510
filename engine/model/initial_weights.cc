#include "engine/model/initial_weights.h"

#include "engine/base/stand_back.h"

namespace sf {

at::Tensor randn_or_empty(at::IntArrayRef shape) {
  stand_back();
  return this_thread_needs_no_initial_weights ? at::empty(shape) : at::randn(shape);
}

}  // namespace sf
