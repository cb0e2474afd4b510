#include "trainer/training_state.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf {
namespace {

// A least-squares problem with two parameters, and everything that training it keeps.
struct Problem {
  explicit Problem(std::vector<int64_t> shape = {4, 3}) {
    torch::manual_seed(1);
    parameters.insert("weight", torch::randn(shape).set_requires_grad(true));
    parameters.insert("bias", torch::randn({3}).set_requires_grad(true));
    optimizer = std::make_unique<Optimizer>(parameters, OptimizerOptions{});
  }
  void train(int64_t begin, int64_t end) {
    for (int64_t step = begin; step < end; ++step) {
      torch::manual_seed(100 + step);
      at::Tensor x = torch::randn({5, 4});
      (at::matmul(x, parameters["weight"]) + parameters["bias"] - 1).square().sum().backward();
      optimizer->step(step);
    }
  }
  torch::OrderedDict<std::string, at::Tensor> parameters;
  std::unique_ptr<Optimizer> optimizer;
};

TEST(TrainingStateTest, GoesOnBitForBit) {
  Problem whole, first, second;
  whole.train(0, 9);
  first.train(0, 4);
  const std::string bytes = training_state_bytes(first.parameters, *first.optimizer, 4);
  second.train(0, 2);  // whatever was there is replaced
  EXPECT_EQ(restore_training_state(bytes, second.parameters, *second.optimizer), 4);
  second.train(4, 9);
  for (const auto& item : whole.parameters)
    EXPECT_TRUE(item.value().equal(second.parameters[item.key()])) << item.key();
  EXPECT_EQ(training_state_bytes(whole.parameters, *whole.optimizer, 9),
            training_state_bytes(second.parameters, *second.optimizer, 9));
}

TEST(TrainingStateTest, NamesTheTensorOfAnotherShape) {
  Problem from, other({4, 2});
  const std::string bytes = training_state_bytes(from.parameters, *from.optimizer, 1);
  try {
    restore_training_state(bytes, other.parameters, *other.optimizer);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "p.weight");
  }
}

TEST(TrainingStateTest, RefusesBytesThatAreCut) {
  Problem problem;
  const std::string bytes = training_state_bytes(problem.parameters, *problem.optimizer, 1);
  for (size_t size : {size_t{0}, size_t{7}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_THROW(restore_training_state(bytes.substr(0, size), problem.parameters, *problem.optimizer), Error) << size;
  }
}

}  // namespace
}  // namespace sf
