// In place of cuda/: a build without its kernels. A GPU that LibTorch can use still runs the reference.
#include "engine/kernels/ops.h"

namespace sf {

const Ops* cuda_ops() { return nullptr; }

}  // namespace sf
