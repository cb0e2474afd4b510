#include "server/versions/golden_check.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/base/yield_to_requests.h"
#include "server/wire/base64.h"

namespace sf::server {
namespace {

constexpr int kMaxStepTokens = 16;     // short steps: requests get their turn between the blocks of one
constexpr int kMaxAnswerTokens = 256;  // as the API's default
constexpr int kMaxProbeTokens = 16;    // without golden answers any text will do
constexpr double kMinMatchElsewhere = 0.95;

// 4 x 4 pixels, half red, half blue: any image shows whether the vision tower makes finite numbers.
constexpr const char* kProbeImage =
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAE0lEQVR42mP4z8AARGDiPwNxHACeow/xy+hZbgAAAABJRU5ErkJggg==";
constexpr const char* kProbeQuestion = "What is in the picture?";

// One question and what the engine says to it.
struct Asked {
  PreparedPromptPtr prompt;
  const GoldenQuestion* golden = nullptr;  // null: a probe
  std::string answer;

  int max_tokens() const { return golden ? kMaxAnswerTokens : kMaxProbeTokens; }
  // Nothing that comes can make it right any more.
  bool is_wrong() const { return golden && !golden->answer.starts_with(answer); }
};

// `image` empty: text alone.
std::vector<Message> messages_of(const std::string& image, const std::string& question) {
  Message message{"user", {{Part::Kind::kText, question}}};
  if (!image.empty()) message.parts.insert(message.parts.begin(), {Part::Kind::kImage, image});
  return {std::move(message)};
}

// Memory that is short stays what it is: not the version's fault.
[[noreturn]] void throw_failed(const Error& error) {
  const bool short_of_memory = error.code() == Code::kResourceExhausted;
  throw Error(short_of_memory ? error.code() : Code::kFailedPrecondition, concat("canary: ", error.what()));
}

// The answer's sequence in the engine; released whatever happens.
class Turn {
 public:
  Turn(Engine& engine, Asked& asked) : engine_(engine), asked_(asked) {
    SamplingParams greedy;
    greedy.max_tokens = asked.max_tokens();
    text_ = engine.token_stream();
    id_ = engine.admit(asked.prompt, greedy);
  }
  ~Turn() { engine_.release(id_); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  void run() {
    while (!done_) {
      const int tokens = std::min(engine_.tokens_to_compute(id_), kMaxStepTokens);
      const StepResult result = engine_.step({{{id_, tokens}}});
      if (result.nonfinite_logits > 0) throw Error(Code::kFailedPrecondition, "canary: logits are not finite");
      SF_CHECK(result.sequences.size() == 1 && result.sequences[0].id == id_,
               "canary: the engine answered a sequence that is not in the plan");
      take(result.sequences[0]);
    }
  }

 private:
  void take(const SequenceStepResult& result) {
    if (result.error) throw_failed(*result.error);
    if (result.out_of_pages) throw Error(Code::kFailedPrecondition, "canary: the key-value cache is too small");
    if (!result.stop_token) {
      for (const int token : result.tokens) asked_.answer += text_->push(token);
      num_tokens_ += static_cast<int>(result.tokens.size());
    }
    done_ = result.stop_token || num_tokens_ >= asked_.max_tokens() || asked_.is_wrong();
    if (done_) asked_.answer += text_->finish();
  }

  Engine& engine_;
  Asked& asked_;
  std::unique_ptr<TokenStream> text_;
  SequenceId id_ = 0;
  int num_tokens_ = 0;
  bool done_ = false;
};

std::vector<Asked> prepare_all(const Engine& engine, const std::vector<GoldenImage>& golden) {
  std::vector<Asked> all;
  for (const GoldenImage& image : golden) {
    for (const GoldenQuestion& question : image.questions) {
      yield_to_requests();
      Asked one;
      one.prompt = engine.prepare(messages_of(image.image, question.question));
      one.golden = &question;
      all.push_back(std::move(one));
    }
  }
  if (all.empty()) {
    Asked probe;
    const bool reads_images = engine.info().max_image_tokens > 0;
    const std::string image = reads_images ? decode_base64(kProbeImage, 1 << 10, "image") : "";
    probe.prompt = engine.prepare(messages_of(image, kProbeQuestion));
    all.push_back(std::move(probe));
  }
  return all;
}

void judge(const Asked& one, GoldenCheckReport& report) {
  ++report.asked;
  if (!one.golden) {
    if (one.answer.empty()) throw Error(Code::kFailedPrecondition, "canary: the answer is empty");
    ++report.matched;
  } else if (one.answer == one.golden->answer) {
    ++report.matched;
  } else if (report.first_difference.empty()) {
    report.first_difference = concat("'", one.golden->question, "' was answered '", one.answer, "', the trainer got '",
                                     one.golden->answer, "'");
  }
}

}  // namespace

GoldenCheckReport ask_golden(Engine& engine, const std::vector<GoldenImage>& golden) {
  GoldenCheckReport report;
  for (Asked& asked : prepare_all(engine, golden)) {
    Turn(engine, asked).run();
    judge(asked, report);
  }
  return report;
}

void run_golden_check(Engine& engine, const std::vector<GoldenImage>& golden) {
  const GoldenCheckReport report = ask_golden(engine, golden);
  const double wanted = engine.info().is_reference ? 1.0 : kMinMatchElsewhere;
  if (report.matched >= wanted * report.asked) return;
  throw Error(Code::kFailedPrecondition, concat("canary: ", report.asked - report.matched, " of ", report.asked,
                                                " answers differ from the trainer's; ", report.first_difference));
}

}  // namespace sf::server
