// The original SparseFusion's state_dict, converted, against a restatement of its forward pass.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/file.h"
#include "tests/parity/imported_model.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(SeemoreParityTest, LogitsAndGreedyTokensAreTheOriginals) {
  TempFolder folder;
  import_seemore_model({.source = goldens() / "seed.pth", .destination = folder.path() / "out"});
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(folder.path() / "out"));
  const Golden golden("seed");
  // The image's one token comes before the text.
  const at::Tensor ids = at::cat({at::full({1}, model.tokenizer->image_id(), at::kLong), golden["ids"]});
  EXPECT_LT((logits_of(model, ids, golden["pixels"]) - golden["logits"]).abs().max().item<double>(), kParityTolerance);
  const at::Tensor greedy = golden["greedy"];
  const std::vector<int64_t> expected(greedy.const_data_ptr<int64_t>(),
                                      greedy.const_data_ptr<int64_t>() + greedy.numel());
  EXPECT_EQ(greedy_tokens(model, ids, static_cast<int>(expected.size()), golden["pixels"]), expected);
}

TEST(SeemoreParityTest, TokensAreCharacters) {
  TempFolder folder;
  import_seemore_model({.source = goldens() / "seed.pth", .destination = folder.path() / "out"});
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(folder.path() / "out"));
  EXPECT_EQ(model.tokenizer->encode("\n !a"), (std::vector<int>{0, 1, 2, 39}));
  EXPECT_TRUE(model.tokenizer->is_end(65));
  EXPECT_THROW(model.tokenizer->encode("7"), Error);
}

TEST(SeemoreParityTest, AnotherFileIsRefusedByItsMissingTensor) {
  TempFolder folder;
  std::string bytes = read_file(goldens() / "seed.pth", 1 << 20);
  const std::string name = "decoder.ln_f.weight";
  for (size_t at = bytes.find(name); at != std::string::npos; at = bytes.find(name)) bytes[at] = 'D';
  write_file(folder.path() / "m.pth", bytes);
  try {
    import_seemore_model({.source = folder.path() / "m.pth", .destination = folder.path() / "out"});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("decoder.ln_f.weight is missing"));
  }
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

}  // namespace
}  // namespace sf::test
