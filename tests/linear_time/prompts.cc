// What a question and choices cost before the model sees them: the prompt maker that the server uses, over the demo's
// tokenizer and over trained ones of both of SentencePiece's kinds, which know runs of letters and spaces. Links
// LibTorch because the prompt maker's folder does.
#include <sentencepiece_trainer.h>

#include <cstdlib>
#include <stdexcept>
#include <unordered_map>

#include "engine/base/file.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/linear_time/measure.h"
#include "tests/support/paths.h"

namespace sf {
namespace {

using linear_time::Measure;
using linear_time::numbered;
using linear_time::repeat;

PromptMaker make_maker(const std::string& tokenizer_model) {
  auto tokenizer = load_sentencepiece(tokenizer_model);
  ModelConfig config = parse_model_config(read_file(test::source_dir() + "/models/demo/config.json", 1 << 20));
  config.prompt_template = "llava-1.5";  // takes questions without an image
  config.decoder.max_context = 1 << 20;
  config.decoder.vocab_size = tokenizer->vocab_size();
  return PromptMaker(std::move(tokenizer), config, {});
}

std::string train(const std::string& kind) {
  std::vector<std::string> sentences;
  for (size_t length = 1; length < 60; ++length) {
    sentences.push_back(repeat("a", length) + " " + repeat("ab", length) + " what shape is the red object " +
                        std::to_string(length));
  }
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      std::unordered_map<std::string, std::string>{{"model_type", kind},
                                                   {"vocab_size", "360"},
                                                   {"byte_fallback", "true"},
                                                   {"hard_vocab_limit", "false"},
                                                   {"remove_extra_whitespaces", "false"},
                                                   {"control_symbols", "<image>,<question>"},
                                                   {"minloglevel", "2"}},
      sentences, &model);
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return model;
}

void measure_questions(const Measure& measure, const std::string& tokenizer, const PromptMaker& maker) {
  const auto question = [&](const std::string& name, size_t n, const auto& text) {
    measure(
        tokenizer + ": " + name, n,
        [&](size_t size) {
          return std::vector<Message>{{"user", {{Part::Kind::kText, "q" + text(size)}}}};
        },
        [&](const std::vector<Message>& messages) { maker.make(messages); });
  };
  question("one letter", 2000, [](size_t n) { return repeat("a", n); });
  question("a letter that it does not know", 2000, [](size_t n) { return repeat("\xe2\x82\xac", n); });
  question("two letters", 1000, [](size_t n) { return repeat("ab", n); });
  question("spaces", 10000, [](size_t n) { return repeat(" ", n); });
  question("line ends", 10000, [](size_t n) { return repeat("\n", n); });
  question("digits", 2000, [](size_t n) { return repeat("7", n); });
  question("words", 200, [](size_t n) { return repeat(" what shape", n); });
  question("names of control tokens", 300, [](size_t n) { return repeat("<image>", n); });

  measure(
      tokenizer + ": choices of one beginning", 16, [](size_t n) { return numbered(repeat("a", 40), "|", n); },
      [&](const std::string& joined) {
        std::vector<std::string> choices;
        for (size_t at = 0; at < joined.size(); at = joined.find('|', at) + 1) {
          choices.push_back(joined.substr(at, joined.find('|', at) - at));
        }
        maker.make_choices(choices);
      });
}

}  // namespace
}  // namespace sf

int main(int argc, char** argv) {
  using namespace sf;
  const linear_time::Measure measure(argc, argv);
  measure_questions(measure, "demo",
                    make_maker(read_file(test::source_dir() + "/models/demo/tokenizer.model", 1 << 20)));
  for (const char* kind : {"bpe", "unigram"}) measure_questions(measure, kind, make_maker(train(kind)));
}
