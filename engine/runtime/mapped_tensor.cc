#include "engine/runtime/mapped_tensor.h"

#include <sys/mman.h>

#include <new>

#include "engine/base/error.h"
#include "engine/base/yield_to_requests.h"

namespace sf {
namespace {

constexpr int64_t kAlignment = 64;  // as torch's own allocator

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

at::Tensor mapped_zeros(at::IntArrayRef shape, at::ScalarType dtype) {
  const at::TensorOptions options = at::TensorOptions().dtype(dtype);
  const int64_t bytes = c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(dtype));
  if (bytes == 0) return at::zeros(shape, options);
  const auto size = static_cast<size_t>(bytes);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return at::from_blob(
      memory, shape, [size](void* begin) { ::munmap(begin, size); }, options);
}

void move_to_one_mapping(const std::vector<at::Tensor>& tensors) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) bytes += aligned(static_cast<int64_t>(tensor.nbytes()));
  const at::Tensor mapping = mapped_zeros({bytes}, at::kByte);
  int64_t begin = 0;
  for (const at::Tensor& tensor : tensors) {
    SF_CHECK(tensor.is_cpu() && tensor.is_contiguous(), "mapped_tensor: not a contiguous tensor of the CPU");
    yield_to_requests();
    const auto size = static_cast<int64_t>(tensor.nbytes());
    const at::Tensor moved = mapping.narrow(0, begin, size).view(tensor.scalar_type()).view(tensor.sizes());
    moved.copy_(tensor.detach());
    tensor.set_data(moved);
    begin += aligned(size);
  }
}

}  // namespace sf
