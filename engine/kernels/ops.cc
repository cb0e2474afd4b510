#include "engine/kernels/ops.h"

namespace sf {

const Ops& ops_for(at::Device device) {
  const Ops* own = device.is_cuda() ? cuda_ops() : nullptr;
  return own ? *own : reference_ops(device);
}

}  // namespace sf
