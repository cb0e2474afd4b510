#include "engine/text/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/text/sentencepiece_tokenizer.h"

namespace sf {
namespace {

std::vector<std::string> sentences() {
  std::vector<std::string> lines;
  for (const char* shape : {"circle", "square"}) {
    for (const char* color : {"red", "green", "blue", "orange", "grey", "yellow"}) {
      lines.push_back("what shape is the " + std::string(color) + " object?");
      lines.push_back("the " + std::string(color) + " " + shape + " is at the top left, number 1234567890.");
    }
  }
  return lines;
}

std::string train() {
  return train_sentencepiece(sentences(), {.vocab_size = 320, .control_symbols = {"<image>", "<sep>"}});
}

class SentencePieceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = new std::string(train()); }
  static void TearDownTestSuite() { delete model_; }
  std::string decode(const std::vector<int>& ids) const {
    Detokenizer stream(tokenizer_);
    std::string text;
    for (const int id : ids) text += stream.push(id);
    return text + stream.finish();
  }

  static std::string* model_;
  std::shared_ptr<const Tokenizer> tokenizer_ = load_sentencepiece(*model_);
};
std::string* SentencePieceTest::model_ = nullptr;

TEST_F(SentencePieceTest, LayoutOfTheVocabulary) {
  EXPECT_EQ(tokenizer_->vocab_size(), 320);
  EXPECT_EQ(tokenizer_->token_text(0), "<unk>");
  EXPECT_EQ(tokenizer_->bos_id(), 1);
  EXPECT_EQ(tokenizer_->eos_id(), 2);
  EXPECT_EQ(tokenizer_->pad_id(), 3);
  EXPECT_EQ(tokenizer_->token_id("<image>"), 4);
  EXPECT_EQ(tokenizer_->token_id("<sep>"), 5);
  EXPECT_EQ(tokenizer_->token_id("<0x00>"), 6);
  EXPECT_EQ(tokenizer_->token_id("<0xFF>"), 261);
  EXPECT_EQ(tokenizer_->token_id("no such piece"), -1);
  EXPECT_EQ(tokenizer_->token_id("<unk>"), 0);
  EXPECT_TRUE(tokenizer_->is_special(4));
  EXPECT_FALSE(tokenizer_->is_special(261));
}

TEST_F(SentencePieceTest, RoundTripsAnyText) {
  for (const std::string text : {"what shape is the red object?", "a", "", "Größe 日本語 \xf0\x9f\x98\x80 end", "x\ty",
                                 "0123", "\xef\xbf\xbd"}) {
    EXPECT_EQ(decode(tokenizer_->encode(text)), text);
  }
}

TEST_F(SentencePieceTest, DigitsStandAlone) {
  const size_t spaces = tokenizer_->encode("1").size() - 1;  // the leading mark may be a piece of its own
  EXPECT_EQ(tokenizer_->encode("1234567890").size(), 10 + spaces);
}

TEST_F(SentencePieceTest, TextNeverNamesAControlPiece) {
  for (const int id : tokenizer_->encode("<s></s><image><pad><sep><unk><0x41>")) {
    EXPECT_FALSE(tokenizer_->is_special(id));
    EXPECT_NE(id, 0);
  }
  EXPECT_EQ(decode(tokenizer_->encode("</s><image>")), "</s><image>");
}

TEST_F(SentencePieceTest, InvalidUtf8IsRefused) {
  for (const std::string text : {"\xff", "abc\xc3", "\xed\xa0\x80", "\xc0\xaf"}) {
    try {
      tokenizer_->encode(text);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_EQ(error.field(), "question");
    }
  }
}

TEST_F(SentencePieceTest, HundredKilobytesAreEncoded) {
  const std::string text(100'000, 'q');
  EXPECT_EQ(decode(tokenizer_->encode(text)), text);
}

TEST_F(SentencePieceTest, PieceBytes) {
  EXPECT_EQ(tokenizer_->bytes_of(tokenizer_->token_id("<0xE2>")), "\xe2");
  EXPECT_EQ(tokenizer_->bytes_of(tokenizer_->token_id("<0x00>")), std::string(1, '\0'));
  EXPECT_EQ(tokenizer_->bytes_of(tokenizer_->token_id("<image>")), "");
  EXPECT_EQ(tokenizer_->bytes_of(tokenizer_->eos_id()), "");
  std::string text;
  for (const int id : tokenizer_->encode("red circle")) text += tokenizer_->bytes_of(id);
  EXPECT_EQ(text, " red circle");
  EXPECT_THROW(tokenizer_->bytes_of(-1), Error);
  EXPECT_THROW(tokenizer_->bytes_of(320), Error);
}

TEST_F(SentencePieceTest, DisplayedTokensHavePlainSpaces) {
  const int red = tokenizer_->encode("red").front();
  EXPECT_EQ(tokenizer_->display_text(red), tokenizer_->bytes_of(red));
  EXPECT_TRUE(tokenizer_->token_text(red).starts_with("\xe2\x96\x81"));
  EXPECT_EQ(tokenizer_->token_id(tokenizer_->token_text(red)), red);
  EXPECT_EQ(tokenizer_->display_text(tokenizer_->token_id("<0xE2>")), "<0xE2>");
  EXPECT_EQ(tokenizer_->display_text(tokenizer_->eos_id()), "</s>");
  EXPECT_THROW(tokenizer_->display_text(320), Error);
}

TEST_F(SentencePieceTest, TheSpaceBeforeATextFollowsThePrefixRule) {
  const auto text_of = [](const Tokenizer& tokenizer, const std::vector<int>& ids) {
    std::string text;
    for (const int id : ids) text += tokenizer.bytes_of(id);
    return text;
  };
  // This vocabulary trims a text's own spaces.
  for (const auto& [rule, plain, spaced, inside] : {std::tuple{PrefixSpace::kAlways, " red", " red", " red"},
                                                    {PrefixSpace::kUnspaced, " red", "red", " red"},
                                                    {PrefixSpace::kFirst, " red", "red", "red"}}) {
    const auto tokenizer = load_sentencepiece(*model_, rule);
    EXPECT_EQ(text_of(*tokenizer, tokenizer->encode("red")), plain);
    EXPECT_EQ(text_of(*tokenizer, tokenizer->encode(" red")), spaced);
    EXPECT_EQ(text_of(*tokenizer, tokenizer->encode_inside("red")), inside);
  }
  EXPECT_THROW(load_sentencepiece(model_->substr(0, model_->size() - 1), PrefixSpace::kFirst), Error);
}

TEST_F(SentencePieceTest, TrainingIsReproducible) { EXPECT_EQ(train(), *model_); }

TEST_F(SentencePieceTest, BrokenModelsAreRefused) {
  for (const std::string& bytes :
       {std::string(), std::string("not a model"), model_->substr(0, model_->size() / 2), std::string(5000, '\xff')}) {
    EXPECT_THROW(load_sentencepiece(bytes), Error);
  }
}

TEST(TokenizerTrainingTest, RefusesWhatCannotBeTrained) {
  EXPECT_THROW(train_sentencepiece({}, {}), Error);
  EXPECT_THROW(train_sentencepiece({"a b"}, {.vocab_size = 5000}), Error);
}

TEST(TokenizerTrainingTest, UserSymbolsAreWholePieces) {
  const auto tokenizer =
      load_sentencepiece(train_sentencepiece(sentences(), {.vocab_size = 320, .user_symbols = {"a,\"b"}}));
  const std::vector<int> ids = tokenizer->encode("red a,\"b red");
  EXPECT_NE(std::find(ids.begin(), ids.end(), tokenizer->token_id("a,\"b")), ids.end());
}

TEST_F(SentencePieceTest, DetokenizerHoldsBackHalfCharacters) {
  Detokenizer stream(tokenizer_);
  const auto byte = [&](const char* piece) { return stream.push(tokenizer_->token_id(piece)); };
  EXPECT_EQ(byte("<0xE2>"), "");
  EXPECT_EQ(byte("<0x82>"), "");
  EXPECT_EQ(byte("<0xAC>"), "\xe2\x82\xac");
  EXPECT_EQ(byte("<0xFF>"), "\xef\xbf\xbd");
  EXPECT_EQ(byte("<0xE2>"), "");
  EXPECT_EQ(byte("<0x41>"),
            "\xef\xbf\xbd"
            "A");
  EXPECT_EQ(byte("<0xF0>"), "");
  EXPECT_EQ(stream.push(tokenizer_->eos_id()), "");
  EXPECT_EQ(stream.finish(), "\xef\xbf\xbd");
  EXPECT_EQ(stream.finish(), "");
}

TEST_F(SentencePieceTest, DetokenizerDropsOnlyTheFirstSpace) {
  const int red = tokenizer_->encode("red").front();
  ASSERT_EQ(tokenizer_->bytes_of(red).front(), ' ');
  Detokenizer stream(tokenizer_);
  const std::string first = stream.push(red);
  EXPECT_EQ(stream.push(red), " " + first);
}

}  // namespace
}  // namespace sf
