// What the engine refuses, and how it says so.
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/base/file.h"
#include "engine/runtime/sequence.h"
#include "engine/runtime/torch_engine.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

class EngineInputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), 3);
    engine_ = make_torch_engine(open_checkpoint(folder_->path()), {.threads = 1, .kv_cache_mib = 1}).release();
  }
  static void TearDownTestSuite() {
    delete engine_;
    delete folder_;
  }

  static void refused(const std::vector<Message>& messages, Code code, const std::string& field) {
    try {
      engine_->prepare(messages);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(error.field(), field) << error.what();
    }
  }

  static std::vector<Message> ask(const std::string& image, const std::string& text) {
    return {{"user", {{Part::Kind::kImage, image}, {Part::Kind::kText, text}}}};
  }

  static inline test::TempFolder* folder_ = nullptr;
  static inline Engine* engine_ = nullptr;
};

TEST_F(EngineInputTest, NamesTheFieldAtFault) {
  const std::string png = test::random_image(1, 80, 80);
  refused({}, Code::kInvalidArgument, "messages");
  refused({{"user", {{Part::Kind::kText, "hello"}}}}, Code::kInvalidArgument, "image");
  refused({{"user", {{Part::Kind::kImage, png}, {Part::Kind::kImage, png}, {Part::Kind::kText, "x"}}}},
          Code::kInvalidArgument, "image");
  refused(ask(png, "  \n"), Code::kInvalidArgument, "question");
  refused(ask(png, std::string(100'000, 'a')), Code::kOutOfRange, "question");
  refused(ask(png, std::string("\xff\xfe what", 7)), Code::kInvalidArgument, "question");
  std::string many;
  for (int i = 0; i < 140; ++i) many += "red ";
  refused(ask(png, many), Code::kOutOfRange, "question");  // longer than the context of 128 tokens
  refused(ask(png.substr(0, png.size() / 2), "what?"), Code::kInvalidArgument, "image");
  refused(ask("GIF89a not a picture", "what?"), Code::kInvalidArgument, "image");
  refused(ask("", "what?"), Code::kInvalidArgument, "image");
  std::vector<Message> answered = ask(png, "what?");
  answered.push_back({"assistant", {{Part::Kind::kText, "a circle"}}});
  refused(answered, Code::kInvalidArgument, "question");  // the last word is not the user's
}

TEST_F(EngineInputTest, RefusesWhatIsAboveTheLimitsOfImages) {
  const std::string png = test::random_image(1, 80, 80);
  TorchEngineOptions options{.threads = 1, .kv_cache_mib = 1};
  options.image_limits.max_pixels = 80 * 80;
  const auto exact = make_torch_engine(open_checkpoint(folder_->path()), options);
  EXPECT_EQ(exact->prepare(ask(png, "what?"))->num_image_tokens(), 36);
  options.image_limits.max_pixels = 80 * 80 - 1;
  const auto below = make_torch_engine(open_checkpoint(folder_->path()), options);
  for (bool estimate : {false, true}) {
    try {
      if (estimate)
        below->estimate_cost(ask(png, "what?"));
      else
        below->prepare(ask(png, "what?"));
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kResourceExhausted);
      EXPECT_EQ(error.reason(), Reason::kTooLarge);
      EXPECT_EQ(error.field(), "image");
    }
  }
}

TEST_F(EngineInputTest, AnEarlierTurnIsPartOfThePrompt) {
  const std::string png = test::random_image(1, 80, 80);
  std::vector<Message> messages = ask(png, "what shape is the red object?");
  const int once = engine_->prepare(messages)->num_tokens();
  messages.push_back({"assistant", {{Part::Kind::kText, "circle"}}});
  messages.push_back({"user", {{Part::Kind::kText, "count blue"}}});
  const PreparedPromptPtr prompt = engine_->prepare(messages);
  EXPECT_GT(prompt->num_tokens(), once);
  EXPECT_EQ(prompt->num_image_tokens(), 36);
  const PromptCost cost = engine_->estimate_cost(messages);
  EXPECT_GE(cost.image_tokens + cost.max_text_tokens, prompt->num_tokens());
}

// A model of single questions: of a conversation the last question counts, with the image nearest before it.
TEST_F(EngineInputTest, ASingleTurnModelHearsTheLastQuestionAsIfAskedAlone) {
  test::TempFolder folder;
  ModelConfig config = test::tiny_config();
  config.single_turn = true;
  test::write_checkpoint_of(Vlm(config), folder.path());
  const auto engine = make_torch_engine(open_checkpoint(folder.path()), {.threads = 1, .kv_cache_mib = 1});
  const std::string first = test::random_image(1, 80, 80), second = test::random_image(2, 200, 100);
  const auto ids = [&](const std::vector<Message>& messages) {
    return dynamic_cast<const EnginePrompt&>(*engine->prepare(messages)).tokens.ids;
  };
  std::vector<Message> talk = ask(first, "what shape is the red object?");
  talk.push_back({"assistant", {{Part::Kind::kText, "circle"}}});
  talk.push_back({"user", {{Part::Kind::kText, "count blue"}}});
  const std::vector<Message> alone = ask(first, "count blue");
  EXPECT_EQ(ids(talk), ids(alone));
  EXPECT_EQ(engine->estimate_cost(talk).max_text_tokens, engine->estimate_cost(alone).max_text_tokens);
  talk.insert(talk.begin(), {"system", {{Part::Kind::kText, std::string(100'000, 'a')}}});
  EXPECT_EQ(ids(talk), ids(alone)) << "what is not used is not counted either";

  talk.push_back({"assistant", {{Part::Kind::kText, "two"}}});
  talk.push_back({"user", {{Part::Kind::kImage, second}}});  // an image in a turn of its own
  talk.push_back({"user", {{Part::Kind::kText, "left or right?"}}});
  EXPECT_EQ(ids(talk), ids(ask(second, "left or right?")));
  EXPECT_EQ(engine->prepare(talk)->num_image_tokens(), 32);
  talk.back().parts.push_back({Part::Kind::kImage, first});  // its own image goes before an earlier one
  EXPECT_EQ(ids(talk), ids(ask(first, "left or right?")));

  talk.back() = {"assistant", {{Part::Kind::kText, "left"}}};
  EXPECT_THROW(engine->prepare(talk), Error);
  talk = {{"user", {{Part::Kind::kText, "count"}}}, {"user", {{Part::Kind::kText, "count blue"}}}};
  EXPECT_THROW(engine->prepare(talk), Error) << "no picture anywhere";
}

TEST_F(EngineInputTest, ANormalizedQuestionIsTheSameHoweverItIsTyped) {
  const std::string png = test::random_image(1, 80, 80);
  for (const bool normalize : {false, true}) {
    test::TempFolder folder;
    ModelConfig config = test::tiny_config();
    config.normalize_questions = normalize;
    test::write_checkpoint_of(Vlm(config), folder.path());
    const auto engine = make_torch_engine(open_checkpoint(folder.path()), {.threads = 1, .kv_cache_mib = 1});
    const auto ids = [&](const std::string& text) {
      return dynamic_cast<const EnginePrompt&>(*engine->prepare(ask(png, text))).tokens.ids;
    };
    EXPECT_EQ(ids("Count  BLUE\n") == ids("count blue"), normalize);
  }
}

TEST_F(EngineInputTest, TextBeforeTheImageGivesTheSamePrompt) {
  const std::string png = test::random_image(1, 80, 80);
  const std::vector<Message> turned = {{"user", {{Part::Kind::kText, "count blue"}, {Part::Kind::kImage, png}}}};
  auto first_token = [](const PreparedPromptPtr& prompt) {
    const SequenceId id = engine_->admit(prompt, {});
    const SequenceStepResult out = engine_->step({{{id, 1000}}}).sequences[0];
    engine_->release(id);
    return out;
  };
  const auto ids = [](const PreparedPromptPtr& prompt) {
    return dynamic_cast<const EnginePrompt&>(*prompt).tokens.ids;
  };
  const PreparedPromptPtr before = engine_->prepare(turned), after = engine_->prepare(ask(png, "count blue"));
  EXPECT_EQ(ids(before), ids(after));
  const SequenceStepResult first = first_token(before), second = first_token(after);
  EXPECT_EQ(first.tokens, second.tokens);
  // The second one finds the first one's pages: sums of another shape, which not every processor rounds alike.
  ASSERT_EQ(first.logprobs.size(), second.logprobs.size());
  for (size_t i = 0; i < first.logprobs.size(); ++i) EXPECT_NEAR(first.logprobs[i], second.logprobs[i], 1e-4);
}

TEST_F(EngineInputTest, EstimatesTheCostFromTheHeaderAlone) {
  const std::string png = test::random_image(1, 200, 100);
  std::string broken = png;
  for (size_t i = 60; i + 20 < broken.size(); ++i) broken[i] = 'x';  // pixel data that nobody can inflate
  const PromptCost cost = engine_->estimate_cost(ask(broken, "what?"));
  refused(ask(broken, "what?"), Code::kInvalidArgument, "image");
  EXPECT_EQ(cost.image_tokens, 32);  // 4 x 8
  EXPECT_GE(cost.max_text_tokens, 2);
  EXPECT_EQ(engine_->prepare(ask(png, "what?"))->num_image_tokens(), 32);
}

TEST_F(EngineInputTest, APromptOfAnotherEngineIsRefused) {
  auto other = make_torch_engine(open_checkpoint(folder_->path()), {.threads = 1, .kv_cache_mib = 1});
  EXPECT_THROW(engine_->admit(other->prepare(ask(test::random_image(1, 80, 80), "what?")), {}), Error);
}

class EngineLoadTest : public testing::Test {
 protected:
  // Rewrites one file, and the manifest with it: the bytes are what the trainer could have written by mistake.
  std::string load_error(const std::string& file, const std::string& bytes) {
    test::TempFolder folder;
    test::write_tiny_checkpoint(folder.path(), 3);
    write_file(folder.path() / file, bytes);
    std::filesystem::remove(folder.path() / "manifest.json");
    write_checkpoint_manifest(folder.path(), {});
    try {
      make_torch_engine(open_checkpoint(folder.path()), {.threads = 1});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
};

TEST_F(EngineLoadTest, NamesTheFileOrTensorAtFault) {
  EXPECT_NE(load_error("config.json", "{}").find("config.json"), std::string::npos);
  EXPECT_NE(load_error("tokenizer.model", "not a tokenizer").find("tokenizer.model"), std::string::npos);
  EXPECT_NE(load_error("model.safetensors", "rubbish").find("model.safetensors"), std::string::npos);
  ModelConfig wider = test::tiny_config();
  wider.decoder.moe.hidden = 24;
  EXPECT_NE(load_error("config.json", to_json(wider)).find("another shape"), std::string::npos);
  ModelConfig deeper = test::tiny_config();
  deeper.decoder.num_layers = 3;
  EXPECT_NE(load_error("config.json", to_json(deeper)).find("decoder.block2"), std::string::npos);
  ModelConfig shallower = test::tiny_config();
  shallower.decoder.num_layers = 1;
  EXPECT_NE(load_error("config.json", to_json(shallower)).find("does not belong"), std::string::npos);
}

// Terabytes of parameters: refused before they are allocated.
TEST_F(EngineLoadTest, RefusesSizesThatTheWeightsDoNotBearOut) {
  ModelConfig huge = test::tiny_config();
  huge.decoder.num_layers = 1024;
  huge.decoder.moe.num_experts = 1024;
  huge.decoder.moe.hidden = 1 << 20;
  EXPECT_NE(load_error("config.json", to_json(huge)).find("config.json: a model of"), std::string::npos);
}

TEST_F(EngineLoadTest, RefusesATokenizerThatIsLargerThanTheEmbedding) {
  ModelConfig small = test::tiny_config();
  small.decoder.vocab_size = 100;
  EXPECT_NE(load_error("config.json", to_json(small)).find("tokenizer.model"), std::string::npos);
}

TEST_F(EngineLoadTest, RefusesADeviceThatIsNotThere) {
  test::TempFolder folder;
  test::write_tiny_checkpoint(folder.path(), 3);
  for (const char* device : {"tpu", "cuda:x", "cuda:9999"}) {
    EXPECT_THROW(make_torch_engine(open_checkpoint(folder.path()), {.device = device}), Error) << device;
  }
}

}  // namespace
}  // namespace sf
