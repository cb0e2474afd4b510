// Token ids of texts and whole prompts through SentencePiece tokenizers of published directories (`legacy` true, false
// and absent, with and without tokenizer.json), against what transformers makes of the same strings.
#include <gtest/gtest.h>

#include "engine/base/file.h"
#include "engine/base/strict_json.h"
#include "engine/text/prompt.h"
#include "tests/parity/imported_model.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json tokenizer_cases() {
  return parse_strict_json(read_file(goldens() / "tokenizer/cases.json", 4 << 20), "cases.json");
}

// The variant's directory, converted.
std::shared_ptr<const Tokenizer> imported_tokenizer(const Json& variant, const fs::path& folder) {
  const fs::path source = folder / "hf", out = folder / "out";
  fs::copy(goldens() / variant.at("base").get<std::string>(), source);
  fs::remove(source / "added_tokens.json");
  write_file(source / "tokenizer_config.json", variant.at("tokenizer_config").dump());
  if (variant.at("trims").get<bool>()) {
    fs::copy(goldens() / "tokenizer/trimming.model", source / "tokenizer.model", fs::copy_options::overwrite_existing);
  }
  if (!variant.at("tokenizer_json").is_null())
    write_file(source / "tokenizer.json", variant.at("tokenizer_json").dump());
  import_hf_model({.source = source, .destination = out});
  return load_checkpoint_model(open_checkpoint(out)).tokenizer;
}

std::vector<int> prompt_ids(const Tokenizer& tokenizer, const std::string& form, const Json& turns) {
  TemplateTokens tokens;
  tokens.image = tokenizer.token_id("<image>");
  tokens.eos = tokenizer.eos_id();
  PromptBuilder builder(tokenizer, tokens, prompt_template(form));
  for (const Json& turn : turns) {
    const std::string kind = turn.at(0);
    if (kind == "image") builder.add_image(turn.at(1), 0, 0);
    if (kind == "user") builder.add_question(turn.at(1).get<std::string>());
    if (kind == "assistant") builder.add_answer(turn.at(1).get<std::string>());
    if (kind == "system") builder.add_system(turn.at(1).get<std::string>());
  }
  return std::move(builder).finish().ids;
}

TEST(TokenizerParityTest, TextsAndPromptsHaveTheIdsOfTransformers) {
  int compared = 0;
  for (const Json& variant : tokenizer_cases()) {
    SCOPED_TRACE(variant.at("name").get<std::string>());
    TempFolder folder;
    const auto tokenizer = imported_tokenizer(variant, folder.path());
    for (const Json& entry : variant.at("texts")) {
      std::vector<int> ids = tokenizer->encode(entry.at(0).get<std::string>());
      ids.insert(ids.begin(), tokenizer->bos_id());
      EXPECT_EQ(ids, entry.at(1).get<std::vector<int>>()) << entry.at(0);
      ++compared;
    }
    for (const Json& entry : variant.at("prompts")) {
      EXPECT_EQ(prompt_ids(*tokenizer, entry.at(0), entry.at(1)), entry.at(2).get<std::vector<int>>())
          << entry.at(0) << " " << entry.at(1);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 15 * (16 + 20));
}

}  // namespace
}  // namespace sf::test
