#include "engine/runtime/mapped_tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <vector>

#include "engine/base/yield_to_requests.h"

namespace sf {
namespace {

TEST(MappedTensorTest, IsZeroAndWritable) {
  const at::Tensor tensor = mapped_zeros({3, 1000, 7}, at::kFloat);
  EXPECT_EQ(tensor.sizes(), (at::IntArrayRef{3, 1000, 7}));
  EXPECT_TRUE(tensor.equal(at::zeros({3, 1000, 7})));
  tensor.fill_(2);
  EXPECT_EQ(tensor.sum().item<double>(), 2 * 21000);
  EXPECT_EQ(mapped_zeros({0, 4}, at::kLong).numel(), 0);
  EXPECT_THROW(mapped_zeros({int64_t{1} << 50}, at::kFloat), std::bad_alloc);
}

TEST(MappedTensorTest, MovedTensorsKeepTheirNumbersAndShareOneMapping) {
  const std::vector<at::Tensor> tensors = {at::rand({5, 3}), at::arange(7), at::rand({}), at::zeros({0})};
  std::vector<at::Tensor> before;
  for (const at::Tensor& tensor : tensors) before.push_back(tensor.clone());
  size_t pieces = 0;
  {
    const YieldScope scope([&] { ++pieces; });
    move_to_one_mapping(tensors);
  }
  EXPECT_EQ(pieces, tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(tensors[i].equal(before[i])) << i;
    EXPECT_EQ(tensors[i].scalar_type(), before[i].scalar_type());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors[i].data_ptr()) % 64, 0u) << i;
    EXPECT_TRUE(tensors[i].storage().is_alias_of(tensors[0].storage())) << i;
  }
}

TEST(MappedTensorTest, AParameterStaysTheParameterItWas) {
  at::Tensor parameter = at::ones({4});
  parameter.set_requires_grad(true);
  move_to_one_mapping({parameter});
  (parameter * 3).sum().backward();
  EXPECT_TRUE(parameter.grad().equal(at::full({4}, 3.0)));
}

TEST(MappedTensorTest, TheMappingLivesAsLongAsAnyOfThem) {
  at::Tensor first = at::ones({1 << 16}), second = at::ones({3});
  move_to_one_mapping({first, second});
  first.reset();
  EXPECT_TRUE(second.equal(at::ones({3})));
}

}  // namespace
}  // namespace sf
