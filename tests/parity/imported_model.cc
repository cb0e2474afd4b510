#include "tests/parity/imported_model.h"

#include <cstdlib>
#include <limits>

#include <gtest/gtest.h>

#include "engine/base/file.h"
#include "engine/checkpoint/safetensors.h"
#include "tests/support/paths.h"

namespace sf::test {

std::filesystem::path goldens() {
  const char* folder = std::getenv("SPARSEFUSION_PARITY_GOLDENS");
  return folder ? std::filesystem::path(folder) : std::filesystem::path(test::source_dir()) / "tests/parity/goldens";
}

Golden::Golden(const std::string& name) : bytes_(read_file(goldens() / (name + ".golden.safetensors"), 64 << 20)) {}

at::Tensor Golden::operator[](const std::string& tensor) const {
  const Safetensors file = Safetensors::parse(bytes_, "golden");
  const TensorView& view = file.at(tensor);
  at::Tensor out = at::empty(view.shape, view.dtype == Dtype::kI64 ? at::kLong : at::kFloat);
  SF_CHECK(out.nbytes() == view.bytes.size(), "golden: only f32 and i64");
  std::memcpy(out.data_ptr(), view.bytes.data(), view.bytes.size());
  return out;
}

at::Tensor logits_of(const CheckpointModel& model, const at::Tensor& ids, const at::Tensor& pixels) {
  torch::NoGradGuard no_grad;
  const int64_t tokens = ids.size(0);
  DecoderInput input;
  input.x_TD = model.vlm->embed_text(ids);
  if (pixels.defined()) {
    const std::vector<ImageBox> boxes(1, {0, 0, static_cast<int>(pixels.size(3)), static_cast<int>(pixels.size(2))});
    const at::Tensor image_PD = model.vlm->encode_images(pixels, boxes)[0];
    input.x_TD.index_copy_(0, ids.eq(model.tokenizer->image_id()).nonzero().squeeze(1), image_PD);
  }
  input.positions_T = at::arange(tokens);
  const at::Tensor mask = at::full({1, tokens, tokens}, -std::numeric_limits<float>::infinity()).triu(1);
  PackedAttention attention(mask);
  return model.vlm->decoder().logits(model.vlm->decoder().forward(input, attention));
}

std::vector<int64_t> greedy_tokens(const CheckpointModel& model, at::Tensor ids, int count, const at::Tensor& pixels) {
  std::vector<int64_t> out;
  for (int i = 0; i < count; ++i) {
    const at::Tensor next = logits_of(model, ids, pixels)[-1].argmax();
    out.push_back(next.item<int64_t>());
    ids = at::cat({ids, next.unsqueeze(0)});
  }
  return out;
}

void expect_parity(const CheckpointModel& model, const std::string& golden_name) {
  const Golden golden(golden_name);
  const at::Tensor greedy = golden["greedy"];
  const at::Tensor logits = logits_of(model, golden["ids"]);
  ASSERT_EQ(logits.sizes(), golden["logits"].sizes());
  EXPECT_LT((logits - golden["logits"]).abs().max().item<double>(), kParityTolerance) << golden_name;
  const std::vector<int64_t> expected(greedy.const_data_ptr<int64_t>(),
                                      greedy.const_data_ptr<int64_t>() + greedy.numel());
  EXPECT_EQ(greedy_tokens(model, golden["ids"], static_cast<int>(expected.size())), expected) << golden_name;
}

}  // namespace sf::test
