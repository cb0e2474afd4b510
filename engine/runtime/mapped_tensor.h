// Tensors of the CPU in memory mappings of their own. What lives as long as a version is kept there: when it is freed
// the kernel has the memory back at once, while the allocator keeps what it gets, in pieces between those of its
// successor. A server that reloads would have to ask for it (malloc_trim), and its requests would wait for the
// allocator meanwhile.
//
//   move_to_one_mapping(vlm.parameters());
//
// mapped_zeros() is thread-safe. One thread only for tensors that move: no other may use them meanwhile.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace sf {

// [shape] zeros, contiguous; memory is taken where it is first written. Errors: std::bad_alloc.
at::Tensor mapped_zeros(at::IntArrayRef shape, at::ScalarType dtype);

// Effect: the tensors' numbers move to one mapping, which lives as long as any of them; their old memory is freed.
// Yields to requests (yield_to_requests.h). REQUIRES: they are of the CPU and contiguous. Errors: std::bad_alloc.
void move_to_one_mapping(const std::vector<at::Tensor>& tensors);

}  // namespace sf
