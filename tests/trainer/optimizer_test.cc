#include "trainer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

torch::OrderedDict<std::string, at::Tensor> one_parameter(const at::Tensor& tensor) {
  torch::OrderedDict<std::string, at::Tensor> parameters;
  parameters.insert("weight", tensor);
  return parameters;
}

TEST(OptimizerTest, IsAdamWOfTheLibrary) {
  torch::manual_seed(1);
  at::Tensor ours = torch::randn({5, 4}).set_requires_grad(true),
             theirs = ours.detach().clone().set_requires_grad(true);
  OptimizerOptions options;
  options.warmup_steps = 0;
  options.total_steps = 1'000'000'000;  // a constant rate
  options.clip_norm = 1e9;
  Optimizer optimizer(one_parameter(ours), options);
  torch::optim::AdamW reference({theirs}, torch::optim::AdamWOptions(options.learning_rate)
                                              .betas({options.beta1, options.beta2})
                                              .eps(options.epsilon)
                                              .weight_decay(options.weight_decay));
  const at::Tensor target = torch::randn({5, 4});
  for (int step = 0; step < 20; ++step) {
    (ours - target).square().sum().backward();
    optimizer.step(step);
    reference.zero_grad();
    (theirs - target).square().sum().backward();
    reference.step();
  }
  EXPECT_LT((ours - theirs).abs().max().item<double>(), 1e-5);
}

TEST(OptimizerTest, WarmsUpAndDecays) {
  OptimizerOptions options;
  options.learning_rate = 1;
  options.warmup_steps = 10;
  options.total_steps = 110;
  options.final_ratio = 0.1;
  EXPECT_NEAR(scheduled_rate(options, 0), 0.1, 1e-12);
  EXPECT_NEAR(scheduled_rate(options, 9), 1.0, 1e-12);
  EXPECT_NEAR(scheduled_rate(options, 60), 0.55, 1e-12);  // half of the cosine
  EXPECT_NEAR(scheduled_rate(options, 110), 0.1, 1e-12);
  EXPECT_NEAR(scheduled_rate(options, 5000), 0.1, 1e-12);
}

TEST(OptimizerTest, ClipsByTheGlobalNormAndSkipsWhatIsNotFinite) {
  at::Tensor weight = at::zeros({4}).set_requires_grad(true);
  Optimizer optimizer(one_parameter(weight), {});
  (weight * 100).sum().backward();
  EXPECT_NEAR(optimizer.step(0), 200.0, 1e-3);
  const at::Tensor before = weight.detach().clone();
  (weight * std::numeric_limits<float>::infinity()).sum().backward();
  EXPECT_FALSE(std::isfinite(optimizer.step(1)));
  EXPECT_TRUE(weight.equal(before));
  EXPECT_FALSE(weight.grad().defined());
}

TEST(OptimizerTest, AFactorOfZeroFreezes) {
  at::Tensor weight = at::ones({2, 2}).set_requires_grad(true);
  OptimizerOptions options;
  options.rate_factor = [](const std::string&) { return 0.0; };
  Optimizer optimizer(one_parameter(weight), options);
  weight.sum().backward();
  optimizer.step(0);
  EXPECT_TRUE(weight.equal(at::ones({2, 2})));
}

}  // namespace
}  // namespace sf
