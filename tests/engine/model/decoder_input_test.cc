#include "engine/model/decoder_input.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/model/vlm.h"

namespace sf {
namespace {

Vlm small_model() {
  ModelConfig config = model_preset("toy");
  config.decoder.vocab_size = 64;
  config.modality_embedding = true;
  return Vlm(config);
}

TEST(DecoderInputTest, ImagesStandInTheirColumnsAndTextElsewhere) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(1);
  const Vlm vlm = small_model();
  const int64_t width = vlm.config().decoder.width;
  const at::Tensor ids = torch::randint(64, {2, 9}, at::kLong);
  const at::Tensor first = torch::randn({2, 3, width}), second = torch::randn({2, 1, width});
  const DecoderInput input = decoder_input(vlm, ids, {{1, first}, {4, second}});
  const at::Tensor x_BLD = input.x_TD.view({2, 9, width}), text_BLD = vlm.embed_text(ids);
  EXPECT_TRUE(x_BLD.narrow(1, 0, 1).equal(text_BLD.narrow(1, 0, 1)));
  EXPECT_TRUE(x_BLD.narrow(1, 1, 3).equal(first));
  EXPECT_TRUE(x_BLD.narrow(1, 4, 1).equal(second));
  EXPECT_TRUE(x_BLD.narrow(1, 5, 4).equal(text_BLD.narrow(1, 5, 4)));
  EXPECT_FALSE(input.injected_TI.defined());
  EXPECT_TRUE(decoder_input(vlm, ids, {}).x_TD.equal(text_BLD.flatten(0, 1)));
}

TEST(DecoderInputTest, WhatIsInjectedIsZeroForText) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  const Vlm vlm = small_model();
  const int64_t width = vlm.config().decoder.width;
  const at::Tensor ids = torch::randint(64, {1, 5}, at::kLong), image = torch::randn({1, 2, 3 * width});
  const DecoderInput input = decoder_input(vlm, ids, {{2, image}});
  ASSERT_EQ(input.injected_TI.sizes(), at::IntArrayRef({5, 2 * width}));
  EXPECT_TRUE(input.injected_TI.narrow(0, 2, 2).equal(image[0].narrow(1, width, 2 * width)));
  EXPECT_EQ(input.injected_TI.narrow(0, 0, 2).abs().sum().item<double>(), 0);
  EXPECT_EQ(input.injected_TI.narrow(0, 4, 1).abs().sum().item<double>(), 0);
}

TEST(DecoderInputTest, ImagesThatOverlapOrReachBeyondTheTokensAreRefused) {
  torch::NoGradGuard no_grad;
  const Vlm vlm = small_model();
  const at::Tensor ids = torch::zeros({1, 5}, at::kLong), image = torch::randn({1, 3, vlm.config().decoder.width});
  EXPECT_THROW(decoder_input(vlm, ids, {{0, image}, {2, image}}), Error);
  EXPECT_THROW(decoder_input(vlm, ids, {{3, image}}), Error);
}

}  // namespace
}  // namespace sf
