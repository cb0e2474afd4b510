#include "engine/text/prompt.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/text/character_tokenizer.h"
#include "engine/text/tokenizer_config.h"

namespace sf {
namespace {

// Characters 0..; 90 stands for an image, 91 is <s>'s stand-in, 92 ends an answer.
std::shared_ptr<const Tokenizer> letters() {
  TokenizerConfig config;
  for (int c = 32; c < 122; ++c) config.characters.emplace_back(1, static_cast<char>(c));
  config.characters.emplace_back("\n");
  config.eos_ids = {92, 93};
  config.image_id = 94;
  return make_tokenizer(config, "", 96);
}

TemplateTokens tokens_of(const Tokenizer& tokenizer) { return {tokenizer.image_id(), -1, tokenizer.eos_id(), -1}; }

std::string text_of(const Tokenizer& tokenizer, const PromptTokens& prompt) {
  std::string text;
  for (const int id : prompt.ids) text += id == 94 ? "#" : tokenizer.is_end(id) ? "|" : tokenizer.bytes_of(id);
  return text;
}

TEST(NormalizedQuestionTest, IsOneLineWithoutCapitals) {
  EXPECT_EQ(normalized_question("What\tColour is\r\nthe RED one?\n"), "what colour is  the red one? ");
  EXPECT_EQ(normalized_question("\xc3\x84 [`@{ 19"), "\xc3\x84 [`@{ 19") << "other letters and signs stay";
}

std::string conversation(const std::string& form) {
  const auto tokenizer = letters();
  PromptBuilder builder(*tokenizer, tokens_of(*tokenizer), prompt_template(form));
  builder.add_system("Be brief.");
  builder.add_image(2, 1, 2);
  builder.add_question("What?");
  builder.add_answer("A dog.");
  builder.add_question("Why?");
  return text_of(*tokenizer, std::move(builder).finish());
}

TEST(PromptTest, FollowsTheNamedTemplatesOverTurns) {
  EXPECT_EQ(conversation("llava-1.5"), "Be brief. USER: ##\nWhat? ASSISTANT: A dog.|USER: Why? ASSISTANT:");
  EXPECT_EQ(conversation("mistral"), "[INST] ##\nBe brief.\n\nWhat? [/INST] A dog.|[INST] Why? [/INST]");
  EXPECT_EQ(conversation("plain"), "Be brief.##What?A dog.|Why?");
  EXPECT_THROW(prompt_template("chatml"), Error);
}

TEST(PromptTest, MropePositionsFollowTheGridAndTextGoesOnBehindTheGreatest) {
  // three words, a 2 x 3 image, two words, a class token and a 1 x 2 image, a word
  const std::vector<ImageSpan> images = {{3, 6, 2, 3}, {11, 3, 1, 2}};
  const std::vector<std::array<int64_t, 3>> expected = {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}, {3, 3, 3},  {3, 3, 4},
                                                        {3, 3, 5}, {3, 4, 3}, {3, 4, 4}, {3, 4, 5},  {6, 6, 6},
                                                        {7, 7, 7}, {8, 8, 8}, {9, 9, 9}, {9, 9, 10}, {11, 11, 11}};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(mrope_position(images, static_cast<int>(i)), expected[i]) << i;
  EXPECT_EQ(mrope_position({}, 7), (std::array<int64_t, 3>{7, 7, 7}));
  EXPECT_EQ(mrope_position({{0, 1, 0, 0}}, 2), (std::array<int64_t, 3>{2, 2, 2}));
}

TEST(TokenizerConfigTest, RoundTripsAndRefusesWhatItDoesNotKnow) {
  TokenizerConfig config;
  config.add_bos = true;
  config.eos_ids = {2, 5};
  config.image_id = 7;
  config.added_tokens = {{7, "<image>"}};
  for (const PrefixSpace space : {PrefixSpace::kAlways, PrefixSpace::kUnspaced, PrefixSpace::kFirst}) {
    config.prefix_space = space;
    const std::string text = to_json(config);
    EXPECT_EQ(to_json(parse_tokenizer_config(text)), text);
    EXPECT_EQ(parse_tokenizer_config(text).prefix_space, space);
  }
  for (const char* json :
       {"", "[]", "{}", R"({"eos_ids":[]})", R"({"eos_ids":[-1]})", R"({"eos_ids":[2],"x":1})",
        R"({"eos_ids":[2],"prefix_space":"never"})", R"({"eos_ids":[2],"prefix_space":true})", R"({"eos_ids":["2"]})",
        R"({"eos_ids":[2],"format_version":2})", R"({"eos_ids":[2],"added_tokens":[{"id":3}]})",
        R"({"eos_ids":[2],"added_tokens":[{"id":3,"content":"a"},{"id":3,"content":"b"}]})",
        R"({"eos_ids":[2],"characters":["a",1]})"}) {
    EXPECT_THROW(parse_tokenizer_config(json), Error) << json;
  }
}

TEST(TokenizerConfigTest, TheVocabularyMustFitTheModel) {
  TokenizerConfig config;
  config.characters = {"a", "\xc3\xa9"};
  config.eos_ids = {2};
  const auto tokenizer = make_tokenizer(config, "", 4);
  EXPECT_EQ(tokenizer->encode("\xc3\xa9"
                              "a"),
            (std::vector<int>{1, 0}));
  EXPECT_EQ(tokenizer->bytes_of(3), "");  // an id of the model that no piece has
  EXPECT_TRUE(tokenizer->is_special(3));
  EXPECT_EQ(tokenizer->display_text(3), "");
  EXPECT_THROW(tokenizer->bytes_of(4), Error);
  config.added_tokens = {{3, "\xe2\x96\x81<PRE>"}};
  EXPECT_EQ(make_tokenizer(config, "", 4)->display_text(3), " <PRE>");
  EXPECT_EQ(make_tokenizer(config, "", 4)->token_text(3), "\xe2\x96\x81<PRE>");
  config.added_tokens = {};
  EXPECT_THROW(make_tokenizer(config, "", 1), Error);
  EXPECT_THROW(make_tokenizer(config, "", 2), Error);  // the end is beyond it
  for (const auto& characters : {std::vector<std::string>{"a", "a"}, {"ab"}, {""}, {"\xff"}}) {
    config.characters = characters;
    EXPECT_THROW(make_tokenizer(config, "", 4), Error);
  }
}

}  // namespace
}  // namespace sf
