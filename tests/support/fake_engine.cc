#include "tests/support/fake_engine.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "tests/support/fake_prompt.h"

namespace sf {
namespace {

constexpr int kImageTokens = 4;
constexpr int kStopToken = 0;

void sleep_for(double seconds) {
  if (seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

FakeEngine::FakeEngine(FakeEngineOptions options)
    : options_(std::move(options)), pieces_(std::make_shared<std::vector<std::string>>(1)) {
  info_.digest = options_.digest;
  info_.step = 1000;
  info_.created_unix = 1'700'000'000;
  info_.max_context = options_.max_context;
  info_.vocab_size = options_.vocab_size;
  info_.max_image_tokens = options_.reads_images ? kImageTokens : 0;
  info_.image_size = 64;
  info_.num_layers = options_.num_layers;
  info_.num_experts = options_.num_experts;
  info_.top_k = 1;
  info_.capacity_factor = 1.25;
  info_.expert_histogram.assign(static_cast<size_t>(options_.num_layers * options_.num_experts), 100);
  info_.device = options_.device;
  info_.is_reference = options_.device == "cpu";
}

void FakeEngine::script(const std::string& question, std::vector<std::string> pieces) {
  MutexLock lock(mutex_);
  scripts_[question] = std::move(pieces);
}

void FakeEngine::fail_next_step(const std::string& what) {
  MutexLock lock(mutex_);
  step_failures_.push_back(what);
}

void FakeEngine::fail_question(const std::string& question, Error error) {
  MutexLock lock(mutex_);
  errors_.insert_or_assign(question, std::move(error));
}

void FakeEngine::fail_admit(const std::string& question) {
  MutexLock lock(mutex_);
  refused_.insert(question);
}

void FakeEngine::hold_steps() {
  MutexLock lock(mutex_);
  held_ = true;
  allowed_ = 0;
}

void FakeEngine::allow_steps(int count) {
  MutexLock lock(mutex_);
  allowed_ += count;
  blocked_ = false;
  changed_.notify_all();
}

void FakeEngine::release_steps() {
  MutexLock lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void FakeEngine::wait_until_blocked() {
  MutexLock lock(mutex_);
  while (!blocked_) changed_.wait(mutex_);
}

void FakeEngine::block_if_held() {
  MutexLock lock(mutex_);
  blocked_ = held_ && allowed_ == 0;
  changed_.notify_all();
  while (held_ && allowed_ == 0) changed_.wait(mutex_);
  if (held_) --allowed_;
  blocked_ = false;
}

std::vector<StepPlan> FakeEngine::plans() const {
  MutexLock lock(mutex_);
  return plans_;
}

PromptCost FakeEngine::estimate_cost(const std::vector<Message>& messages) const {
  PromptCost cost;
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kText) {
        cost.max_text_tokens += static_cast<int>(part.data.size());
      } else if (part.data.starts_with("IMG") || part.data.starts_with("\x89PNG")) {
        cost.image_tokens += kImageTokens;
      } else {
        throw invalid_argument("image", "image: not a picture");
      }
    }
  }
  if (cost.image_tokens + cost.max_text_tokens >= options_.max_context) {
    throw Error(Code::kOutOfRange, concat("question: longer than the context of ", options_.max_context, " tokens"),
                "question");
  }
  return cost;
}

PreparedPromptPtr FakeEngine::prepare(const std::vector<Message>& messages, const PrepareCheck& check) const {
  const PromptCost cost = estimate_cost(messages);
  std::string question;
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kText)
        question += part.data;
      else if (!options_.reads_images)
        throw invalid_argument("image", "image: this model reads no pictures");
      if (part.data == "IMG broken") throw invalid_argument("image", "image: truncated data");
    }
  }
  sleep_for(options_.prepare_seconds);
  wait_until_allowed(check);
  ++num_prepared_;
  return std::make_shared<FakePrompt>(question, cost.image_tokens);
}

void FakeEngine::wait_until_allowed(const PrepareCheck& check) const {
  ++num_preparing_;
  struct Leave {
    std::atomic<int>& count;
    ~Leave() { --count; }
  } leave{num_preparing_};
  while (true) {
    if (check) check();
    if (prepares_allowed_.fetch_sub(1) > 0) return;
    ++prepares_allowed_;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::unique_ptr<TokenStream> FakeEngine::token_stream() const {
  MutexLock lock(mutex_);
  // Ids are given at admission, after this stream exists, so every piece that can come is named here.
  for (int byte = 0; !knows_bytes_ && byte < 256; ++byte) ids_.emplace(std::string(1, static_cast<char>(byte)), 0);
  knows_bytes_ = true;
  for (const auto& [question, pieces] : scripts_) {
    for (const std::string& piece : pieces) ids_.emplace(piece, 0);
  }
  if (ids_.size() >= pieces_->size()) {
    std::vector<std::string> pieces = *pieces_;
    for (auto& [piece, id] : ids_) {
      if (id != 0) continue;
      id = static_cast<int>(pieces.size());
      pieces.push_back(piece);
    }
    pieces_ = std::make_shared<const std::vector<std::string>>(std::move(pieces));
  }
  return std::make_unique<FakeTokenStream>(pieces_);
}

std::vector<int> FakeEngine::answer_of(const std::string& question) const {
  std::vector<int> answer;
  const auto script = scripts_.find(question);
  if (script != scripts_.end()) {
    for (const std::string& piece : script->second) answer.push_back(ids_.at(piece));
  } else {
    for (char byte : question) answer.push_back(ids_.at(std::string(1, byte)));
  }
  return answer;
}

Explanation FakeEngine::explain(const PreparedPrompt& prompt, const SamplingParams& sampling,
                                const ExplainOptions& options, const ExplainCheck& check) const {
  const std::string question = dynamic_cast<const FakePrompt&>(prompt).question();
  ++num_explaining_;
  struct Leave {
    std::atomic<int>& count;
    ~Leave() { --count; }
  } leave{num_explaining_};
  do {
    check();
    if (explains_held_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  } while (explains_held_);
  Explanation e;
  e.method = options.method;
  e.rows = e.columns = 2;
  e.num_experts = options_.num_experts;
  e.top_k = 1;
  token_stream();  // names the pieces
  MutexLock lock(mutex_);
  if (const auto error = errors_.find(question); error != errors_.end()) throw error->second;
  for (int id : answer_of(question)) {
    if (static_cast<int>(e.tokens.size()) == std::min(sampling.max_tokens, options.max_tokens)) break;
    ExplainedToken token{pieces_->at(id), id, -0.5f, std::vector<float>(4)};
    token.heatmap[e.tokens.size() % 4] = 1;
    e.answer += token.text;
    e.tokens.push_back(std::move(token));
  }
  return e;
}

PreparedChoicesPtr FakeEngine::prepare_choices(const std::vector<std::string>& texts) const {
  auto choices = std::make_shared<PreparedChoices>();
  choices->texts = texts;
  choices->num_tokens = static_cast<int>(texts.size()) - 2;
  for (const std::string& text : texts) {
    choices->longest_tokens = std::max(choices->longest_tokens, static_cast<int>(text.size()) + 1);
  }
  return choices;
}

void FakeEngine::weigh_choices(Sequence& sequence, SequenceStepResult& result) const {
  const std::vector<std::string>& texts = sequence.choices->texts;
  result.choosing = true;
  ++sequence.num_tokens;
  if (++sequence.num_weighed + 1 < static_cast<int>(texts.size())) return;
  std::string answer;
  {
    MutexLock lock(mutex_);
    for (const int id : sequence.answer) answer += pieces_->at(static_cast<size_t>(id));
  }
  ChosenAnswer& chosen = result.chosen.emplace();
  chosen.probabilities.assign(texts.size(), 1.0 / static_cast<double>(texts.size()));
  const auto found = std::find(texts.begin(), texts.end(), answer);
  if (found != texts.end()) {
    chosen.index = static_cast<int>(found - texts.begin());
    chosen.probabilities.assign(texts.size(), 0.25 / static_cast<double>(texts.size() - 1));
    chosen.probabilities[static_cast<size_t>(chosen.index)] = 0.75;
  }
  chosen.num_tokens = static_cast<int>(texts[static_cast<size_t>(chosen.index)].size()) + 1;
}

SequenceId FakeEngine::admit(PreparedPromptPtr prompt, const SamplingParams& sampling) {
  const auto& fake = dynamic_cast<const FakePrompt&>(*prompt);
  Sequence sequence;
  sequence.question = fake.question();
  sequence.num_tokens = fake.num_tokens();
  sequence.choices = sampling.choices;
  sequence.top_logprobs = sampling.top_logprobs;
  {
    MutexLock lock(mutex_);
    SF_CHECK(!refused_.contains(sequence.question), "fake engine: refuses this question");
    sequence.answer = answer_of(sequence.question);
  }
  sequences_.emplace(next_id_, std::move(sequence));
  ++num_sequences_;
  ++num_admitted_;
  return next_id_++;
}

RoutingRecord FakeEngine::routing_record(SequenceId id) const {
  RoutingRecord record{options_.num_layers, 1, {}, {}};
  for (int position = 0; position < sequences_.at(id).num_computed; ++position) {
    for (int layer = 0; layer < options_.num_layers; ++layer) {
      record.ids.push_back(static_cast<uint16_t>((position + layer) % options_.num_experts));
      record.gates.push_back(1.0f);
    }
  }
  return record;
}

void FakeEngine::release(SequenceId id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  used_pages_ -= found->second.pages;
  sequences_.erase(found);
  --num_sequences_;
}

void FakeEngine::preempt(SequenceId id) {
  Sequence& sequence = sequences_.at(id);
  used_pages_ -= std::exchange(sequence.pages, 0);
  sequence.num_computed = 0;
}

int FakeEngine::tokens_to_compute(SequenceId id) const {
  const Sequence& sequence = sequences_.at(id);
  return sequence.num_tokens - sequence.num_computed;
}

CacheUsage FakeEngine::cache_usage() const { return {options_.total_pages, used_pages_, options_.page_size}; }

void FakeEngine::count_tokens(int first_position, int count, SequenceStepResult& result, MoeStepStats& moe) const {
  for (int position = first_position; position < first_position + count; ++position) {
    const Modality modality = position < kImageTokens ? kImageModality : kTextModality;
    for (int layer = 0; layer < options_.num_layers; ++layer) {
      const int expert = (position + layer) % options_.num_experts;
      const auto index = static_cast<size_t>((layer * options_.num_experts + expert) * kNumModalities + modality);
      ++moe.tokens[index];
      moe.gate_mass[index] += 0.5f;
      ++moe.routed_tokens[static_cast<size_t>(layer)];
      moe.entropy_sum_nats[static_cast<size_t>(layer)] += 1.0f;
      ++result.assigned_tokens;
    }
  }
}

SequenceStepResult FakeEngine::step_sequence(Sequence& sequence, const StepPlan::Item& item) {
  SequenceStepResult result;
  result.id = item.id;
  const int needed = (sequence.num_computed + item.num_tokens + options_.page_size - 1) / options_.page_size;
  if (needed - sequence.pages > options_.total_pages - used_pages_) {
    result.out_of_pages = true;
    return result;
  }
  used_pages_ += needed - sequence.pages;
  sequence.pages = needed;
  sequence.num_computed += item.num_tokens;
  SF_CHECK(sequence.num_computed <= sequence.num_tokens, "fake engine: planned more tokens than there are");
  if (sequence.num_computed < sequence.num_tokens) return result;
  if (sequence.choices) {
    weigh_choices(sequence, result);
    return result;
  }
  const auto next = static_cast<size_t>(sequence.num_generated);
  result.stop_token = next >= sequence.answer.size();
  result.tokens.push_back(result.stop_token ? kStopToken : sequence.answer[next]);
  result.logprobs.push_back(-0.1f);
  std::vector<TokenGuess>& top = result.top.emplace_back();
  for (int i = 0; i < sequence.top_logprobs; ++i) {  // the token itself, then the stop token and the first pieces
    top.push_back({i == 0 ? result.tokens.back() : i - 1, -0.1f - static_cast<float>(i)});
  }
  ++sequence.num_generated;
  ++sequence.num_tokens;
  return result;
}

StepResult FakeEngine::step(const StepPlan& plan) {
  block_if_held();
  sleep_for(options_.step_seconds);
  ++num_steps_;
  std::map<std::string, Error> errors;
  {
    MutexLock lock(mutex_);
    if (options_.keep_plans) plans_.push_back(plan);
    errors = errors_;
    if (!step_failures_.empty()) {
      const std::string what = step_failures_.front();
      step_failures_.erase(step_failures_.begin());
      throw std::runtime_error(what);
    }
  }
  StepResult result;
  result.nonfinite_logits = options_.nonfinite_logits;
  const auto cells = static_cast<size_t>(options_.num_layers * options_.num_experts) * kNumModalities;
  const auto layers = static_cast<size_t>(options_.num_layers);
  result.moe.num_layers = options_.num_layers;
  result.moe.num_experts = options_.num_experts;
  result.moe.tokens.resize(cells);
  result.moe.gate_mass.resize(cells);
  result.moe.overflow_step.resize(cells);
  result.moe.overflow_request.resize(cells);
  result.moe.capacity_tokens.assign(layers, 16);
  result.moe.entropy_sum_nats.resize(layers);
  result.moe.routed_tokens.resize(layers);
  result.moe.route_seconds.assign(layers, 1e-5f);
  result.moe.experts_seconds.assign(layers, 2e-5f);
  result.moe.combine_seconds.assign(layers, 1e-5f);
  for (const StepPlan::Item& item : plan.items) {
    Sequence& sequence = sequences_.at(item.id);
    const auto error = errors.find(sequence.question);
    if (error != errors.end()) {
      SequenceStepResult failed;
      failed.id = item.id;
      failed.error = error->second;
      result.sequences.push_back(std::move(failed));
      continue;
    }
    const int first_position = sequence.num_computed;
    result.sequences.push_back(step_sequence(sequence, item));
    if (!result.sequences.back().out_of_pages) {
      count_tokens(first_position, item.num_tokens, result.sequences.back(), result.moe);
    }
  }
  return result;
}

std::vector<Message> ask(const std::string& question, const std::string& image) {
  Message message;
  message.role = "user";
  if (!image.empty()) message.parts.push_back({Part::Kind::kImage, image});
  message.parts.push_back({Part::Kind::kText, question});
  return {message};
}

}  // namespace sf
