#include "server/model/canary.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/base/stand_back.h"
#include "server/guard/base64.h"

namespace sf::server {
namespace {

constexpr size_t kQuestionsAtOnce = 8;
constexpr int kMaxStepTokens = 256;    // a step is short, so that serving threads get their turn
constexpr int kMaxAnswerTokens = 256;  // as the API's default
constexpr int kMaxProbeTokens = 16;    // without golden answers any text will do
constexpr double kMinMatchElsewhere = 0.95;

// 4 x 4 pixels, half red, half blue: any picture shows whether the vision tower makes finite numbers.
constexpr const char* kProbePicture =
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAE0lEQVR42mP4z8AARGDiPwNxHACeow/xy+hZbgAAAABJRU5ErkJggg==";
constexpr const char* kProbeQuestion = "What is in the picture?";

// One question on its way through the engine.
struct Asked {
  PreparedPromptPtr prompt;
  const GoldenQuestion* golden = nullptr;  // null: a probe
  std::unique_ptr<TokenStream> text;
  SequenceId id = 0;
  std::string answer;
  int num_tokens = 0;
  bool done = false;

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

// Asks several questions at once; releases them whatever happens.
class Round {
 public:
  Round(Engine& engine, std::vector<Asked>& asked) : engine_(engine), asked_(asked) {}
  ~Round() {
    for (const Asked& one : asked_) engine_.release(one.id);
  }

  void run() {
    for (Asked& one : asked_) {
      one.text = engine_.token_stream();
      SamplingParams greedy;
      greedy.max_tokens = one.max_tokens();
      one.id = engine_.admit(one.prompt, greedy);
    }
    while (true) {
      const StepPlan plan = next_plan();
      if (plan.items.empty()) return;
      const StepResult result = engine_.step(plan);
      if (result.nonfinite_logits > 0) throw Error(Code::kFailedPrecondition, "canary: logits are not finite");
      for (const SequenceStepResult& sequence : result.sequences) take(sequence);
    }
  }

 private:
  StepPlan next_plan() const {
    StepPlan plan;
    int budget = kMaxStepTokens;
    for (const Asked& one : asked_) {
      const int tokens = one.done ? 0 : std::min(engine_.tokens_to_compute(one.id), budget);
      if (tokens > 0) plan.items.push_back({one.id, tokens});
      budget -= tokens;
    }
    return plan;
  }

  void take(const SequenceStepResult& result) {
    const auto found =
        std::find_if(asked_.begin(), asked_.end(), [&](const Asked& one) { return one.id == result.id; });
    SF_CHECK(found != asked_.end(), "canary: the engine answered a sequence that is not in the plan");
    if (result.error) throw Error(Code::kFailedPrecondition, concat("canary: ", result.error->what()));
    if (result.out_of_pages) throw Error(Code::kFailedPrecondition, "canary: the key-value cache is too small");
    if (!result.stop_token) {
      for (const int token : result.tokens) found->answer += found->text->push(token);
      found->num_tokens += static_cast<int>(result.tokens.size());
    }
    found->done = result.stop_token || found->num_tokens >= found->max_tokens() || found->is_wrong();
    if (found->done) found->answer += found->text->finish();
  }

  Engine& engine_;
  std::vector<Asked>& asked_;
};

std::vector<Asked> prepare_all(const Engine& engine, const std::vector<GoldenPicture>& golden) {
  std::vector<Asked> all;
  for (const GoldenPicture& picture : golden) {
    for (const GoldenQuestion& question : picture.questions) {
      stand_back();
      Asked one;
      one.prompt = engine.prepare(messages_of(picture.image, question.question));
      one.golden = &question;
      all.push_back(std::move(one));
    }
  }
  if (all.empty()) {
    Asked probe;
    const bool reads_pictures = engine.info().max_image_tokens > 0;
    const std::string picture = reads_pictures ? decode_base64(kProbePicture, 1 << 10, "image") : "";
    probe.prompt = engine.prepare(messages_of(picture, kProbeQuestion));
    all.push_back(std::move(probe));
  }
  return all;
}

// As many of the rest as fit at once, at least one.
size_t round_size(const Engine& engine, const std::vector<Asked>& all, size_t begin) {
  int tokens = 0;
  size_t end = begin;
  while (end < all.size() && end - begin < kQuestionsAtOnce) {
    tokens += all[end].prompt->num_tokens() + all[end].max_tokens();
    if (end > begin && !engine.can_admit(tokens)) break;
    ++end;
  }
  return end - begin;
}

void judge(const Asked& one, CanaryReport& report) {
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

CanaryReport ask_golden(Engine& engine, const std::vector<GoldenPicture>& golden) {
  std::vector<Asked> all = prepare_all(engine, golden);
  CanaryReport report;
  for (size_t begin = 0; begin < all.size();) {
    const size_t count = round_size(engine, all, begin);
    std::vector<Asked> round(std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(begin)),
                             std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(begin + count)));
    Round(engine, round).run();
    for (const Asked& one : round) judge(one, report);
    begin += count;
  }
  return report;
}

void run_canary(Engine& engine, const std::vector<GoldenPicture>& golden) {
  const CanaryReport report = ask_golden(engine, golden);
  const double wanted = engine.info().is_reference ? 1.0 : kMinMatchElsewhere;
  if (report.matched >= wanted * report.asked) return;
  throw Error(Code::kFailedPrecondition, concat("canary: ", report.asked - report.matched, " of ", report.asked,
                                                " answers differ from the trainer's; ", report.first_difference));
}

}  // namespace sf::server
