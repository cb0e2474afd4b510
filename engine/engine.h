// The engine's public interface. No torch, protobuf or JSON types: the server, the tests' FakeEngine and the torch
// engine meet here.
//
//   PreparedPromptPtr prompt = engine.prepare(messages);          // any thread: decode, resize, tokenise
//   SequenceId id = engine.admit(prompt, sampling);               // from here on: one thread only
//   StepResult prefill = engine.step({{{id, prompt->num_tokens()}}});
//   StepResult decode = engine.step({{{id, 1}}});                 // until an answer ends
//   engine.release(id);
//
// info(), prepare() and the other methods of the first group are thread-safe; the others: one thread only, the
// scheduler's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/explain/explanation.h"

namespace sf {

using SequenceId = uint64_t;

inline constexpr int kMaxChoiceTokens = 64;  // of one choice, its end token included
inline constexpr int kMaxTopLogprobs = 20;

struct Part {
  enum class Kind { kText, kImage };
  Kind kind = Kind::kText;
  std::string data;  // UTF-8 text, or the encoded bytes of a PNG, JPEG or WebP
};

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::vector<Part> parts;
};

// What a prompt will cost, from image headers and text sizes alone; nothing is decoded.
struct PromptCost {
  int image_tokens = 0;
  int max_text_tokens = 0;  // upper bound
};

// A decoded, resized and tokenised prompt; immutable; made and read by one engine only.
class PreparedPrompt {
 public:
  virtual ~PreparedPrompt() = default;
  virtual int num_tokens() const = 0;  // image tokens included
  virtual int num_image_tokens() const = 0;
  virtual double image_decode_seconds() const = 0;
};
using PreparedPromptPtr = std::shared_ptr<const PreparedPrompt>;

// The strings that an answer is chosen from, tokenised as the answer would be after its prompt; immutable; made and
// read by one engine only. Their tokens, each ended by the end token, are a trie. A choice's probability is the product
// over its path of the softmax over the children of the node alone:
//
//   p(choice) = prod_i  exp(z[t_i | prompt, t_1..t_i-1])  /  sum over c in children(t_1..t_i-1) of exp(z[c | ...])
//
// with z the model's logits, so that all of them sum to 1; choices of the same tokens share their path's equally. With
// temperature 0 the choice of the highest p answers (of equal ones the first), which is not always where the likeliest
// first token leads; else one is drawn from p^(1/temperature), renormalised, by the counter of (seed, position).
class PreparedChoices {
 public:
  virtual ~PreparedChoices() = default;
  std::vector<std::string> texts;
  int num_tokens = 0;      // computed beyond the prompt, at most: the trie's inner nodes
  int longest_tokens = 0;  // of a choice, its end token included
};
using PreparedChoicesPtr = std::shared_ptr<const PreparedChoices>;

// Which experts every token of a prompt and its answer went to, flat [tokens, layers, top_k]: of the layers that route,
// in their order; dense ones have no row. The last token of an answer
// is not computed, so it has no row.
struct RoutingRecord {
  int num_layers = 0, top_k = 0;
  std::vector<uint16_t> ids;
  std::vector<float> gates;  // beside ids; empty where only the choice matters
  int num_tokens() const { return num_layers * top_k > 0 ? static_cast<int>(ids.size()) / (num_layers * top_k) : 0; }
};

struct SamplingParams {
  int max_tokens = 256;      // generated tokens at most; the engine cuts it to the context
  float temperature = 0.0f;  // 0 = greedy
  float top_p = 1.0f;
  int top_k = 0;      // 0 = all
  uint64_t seed = 0;  // draws are keyed by (seed, position), never by a shared stream
  // What changes the logits before a token is sampled (formulas: engine/runtime/logits_processors.h); the defaults
  // change nothing. Reported log-probabilities are those before.
  int min_tokens = 0;       // no end token before so many; stop strings are not looked for in them
  bool ignore_eos = false;  // no end token at all
  float presence_penalty = 0.0f, frequency_penalty = 0.0f, repetition_penalty = 1.0f;
  std::vector<std::pair<int, float>> logit_bias = {};  // of token ids, each once
  bool changes_logits() const {
    return min_tokens > 0 || ignore_eos || presence_penalty != 0 || frequency_penalty != 0 || repetition_penalty != 1 ||
           !logit_bias.empty();
  }
  // Experts of the first tokens, recorded before; the gates are the model's own (R3, arXiv 2510.11370). Tokens beyond
  // the record are routed as always. Such a request shares no prefix with another.
  std::shared_ptr<const RoutingRecord> replay_routing = {};
  bool record_routing = false;  // routing_record() will be asked for; the engine always knows
  std::string cache_salt = {};  // who may share computed prefixes: equal salts only (a tenant's API key)
  int top_logprobs = 0;         // likeliest tokens that are reported beside each generated one
  // The answer is one of these: max_tokens, top_p, top_k and what changes the logits do not count, and neither kind of
  // routing is offered.
  PreparedChoicesPtr choices = {};
};

// One version's text stream for one answer. Never emits half a UTF-8 character. One thread only.
class TokenStream {
 public:
  virtual ~TokenStream() = default;
  virtual std::string push(int token) = 0;
  virtual std::string finish() = 0;
  // What push() would return; the token as the vocabulary writes it where that is nothing (an end token, a part of a
  // character). Changes nothing.
  virtual std::string peek(int token) const = 0;
};

struct ModelInfo {
  std::string digest;  // sha256 of the checkpoint, hex
  int64_t step = 0;    // training step
  int64_t created_unix = 0;
  int max_context = 0;       // tokens of prompt and answer together
  int max_image_tokens = 0;  // tokens one image can take at most
  int image_size = 0;        // side in pixels of a square image after resizing
  int vocab_size = 0;        // 0 = unknown
  int num_layers = 0, num_experts = 0, top_k = 0;
  std::vector<int> dense_layers = {};  // those of num_layers, counted from 0, that have no experts
  int num_routed_layers() const { return num_layers - static_cast<int>(dense_layers.size()); }
  double capacity_factor = 0;  // of serving
  int64_t num_parameters = 0, num_active_parameters = 0;
  std::vector<int64_t> expert_histogram;  // [layers, experts] of the evaluation set, dense layers all 0; may be empty
  std::string device;                     // "cpu", "cuda:0"
  bool is_reference = true;               // computes as the trainer evaluates: f32 on a CPU, nothing dropped
  SamplingParams default_sampling;        // temperature, top_p and top_k of a request that names none
};

// Errors: InvalidArgument (field "routing") unless the record fits the model and every token has different experts.
inline void check_routing(const RoutingRecord& record, const ModelInfo& info) {
  const size_t k = static_cast<size_t>(record.top_k);
  if (info.num_routed_layers() == 0) throw invalid_argument("routing", "routing: no layer of the model routes");
  if (record.num_layers != info.num_routed_layers() || record.top_k != info.top_k || k == 0) {
    throw invalid_argument("routing", "routing: the model has ", info.num_routed_layers(),
                           " layers that route and top ", info.top_k, " experts, the record ", record.num_layers,
                           " and ", record.top_k);
  }
  if (record.ids.size() % (k * static_cast<size_t>(record.num_layers)) != 0) {
    throw invalid_argument("routing", "routing: not whole tokens");
  }
  for (size_t i = 0; i < record.ids.size(); ++i) {
    if (record.ids[i] >= info.num_experts) {
      throw invalid_argument("routing", "routing: the model has ", info.num_experts, " experts, got id ",
                             record.ids[i]);
    }
    for (size_t j = i - i % k; j < i; ++j) {
      if (record.ids[j] == record.ids[i]) throw invalid_argument("routing", "routing: a token has an expert twice");
    }
  }
}

// Errors: InvalidArgument (field "logit_bias") for a token that the model does not have.
inline void check_logit_bias(const SamplingParams& sampling, const ModelInfo& info) {
  for (const auto& [id, bias] : sampling.logit_bias) {
    if (info.vocab_size > 0 && id >= info.vocab_size) {
      throw invalid_argument("logit_bias", "logit_bias: the model has ", info.vocab_size, " tokens, got id ", id);
    }
  }
}

struct StepPlan {
  struct Item {
    SequenceId id;
    int num_tokens;  // prompt tokens to compute next; 1 while decoding
  };
  std::vector<Item> items;
};

enum Modality { kImageModality = 0, kTextModality = 1, kNumModalities = 2 };

// Counts of one step. Arrays are flat: [layers, experts, modality] unless said otherwise; all 0 in a dense layer.
struct MoeStepStats {
  int num_layers = 0, num_experts = 0;
  std::vector<uint32_t> tokens;            // assignments
  std::vector<float> gate_mass;            // sum of gates
  std::vector<uint32_t> overflow_step;     // assignments above C of the whole batch
  std::vector<uint32_t> overflow_request;  // assignments above C of the request's causal windows
  std::vector<uint64_t> capacity_tokens;   // [layers]: E * C of this step
  std::vector<float> entropy_sum_nats;     // [layers]: sum over routed tokens of the router's entropy
  std::vector<uint32_t> routed_tokens;     // [layers]
  std::vector<float> route_seconds, experts_seconds, combine_seconds;  // [layers]
};

struct TokenGuess {
  int token = 0;
  float logprob = 0;  // natural logarithm, of the distribution before temperature
};

// Which of SamplingParams::choices answers.
struct ChosenAnswer {
  int index = 0;
  int num_tokens = 0;                 // of the chosen one, its end token included
  std::vector<double> probabilities;  // of all, in their order, before temperature; sum 1
};

struct SequenceStepResult {
  SequenceId id = 0;
  std::vector<int> tokens;      // 0 or 1 token; none while the prompt is being computed, or while this sequence
                                // waits a step for an image that another one computes in it
  std::vector<float> logprobs;  // beside tokens
  std::vector<std::vector<TokenGuess>> top;  // beside tokens: the likeliest ones, by falling probability
  bool choosing = false;                     // its prompt is computed, and one node of its choices' trie was scored
  std::optional<ChosenAnswer> chosen;        // the whole answer of a sequence with choices: it has no tokens
  bool stop_token = false;                   // the token ends the answer and carries no text
  bool out_of_pages = false;                 // nothing was computed: preempt a sequence and plan it again
  std::optional<Error> error;                // only this sequence failed; release it
  uint32_t assigned_tokens = 0;  // expert assignments of this sequence, each token once whatever is computed again
  uint32_t overflow_tokens = 0;  // of them above the capacity of scope `request`
  uint32_t cached_tokens = 0;    // prompt tokens taken from the prefix cache; their assignments count above too
};

struct StepResult {
  std::vector<SequenceStepResult> sequences;  // in the plan's order
  double image_encode_seconds = 0;            // 0 where the step encoded no image
  int images_encoded = 0;
  int prefix_cache_queries = 0, prefix_cache_hits = 0;  // prompt tokens looked for and found, once a request
  int image_cache_queries = 0, image_cache_hits = 0;    // images of the same requests, and those found whole
  int nonfinite_logits = 0;
  MoeStepStats moe;
};

struct CacheUsage {
  int total_pages = 0;
  int used_pages = 0;  // by sequences; pages kept for their content alone count as free
  int page_size = 16;  // tokens
  int idle_pages = 0;  // of the free ones: hold a prefix that may be used again
};

// Called between pieces of work; throws to cancel it.
using PrepareCheck = std::function<void()>;

class Engine {
 public:
  virtual ~Engine() = default;

  // --- const and thread-safe ---
  virtual const ModelInfo& info() const = 0;
  // Errors: as read_image_header (field "image"); OutOfRange for a prompt longer than the context.
  virtual PromptCost estimate_cost(const std::vector<Message>& messages) const = 0;
  // Effect: decode, resize, tokenise; CPU-bound, a few ms, about a second for the worst image. `check` is called
  // repeatedly meanwhile, on this thread; null = not called. Errors: InvalidArgument and ResourceExhausted with field
  // "image" or "question"; OutOfRange for a prompt that leaves no room for one answer token in the context; what
  // `check` throws.
  virtual PreparedPromptPtr prepare(const std::vector<Message>& messages, const PrepareCheck& check = {}) const = 0;
  virtual std::unique_ptr<TokenStream> token_stream() const = 0;
  // Errors: InvalidArgument (field "choices") for one of no or more than kMaxChoiceTokens tokens.
  virtual PreparedChoicesPtr prepare_choices(const std::vector<std::string>&) const {
    throw invalid_argument("choices", "choices: not offered by this engine");
  }
  // Effect: answers `prompt` in memory of its own, on the calling thread, and reports what the answer was based on;
  // steps of other threads go on beside it and are not changed by it. Computes the whole sequence again for each token:
  // a few to some hundred times as much work as the answer alone. Errors: InvalidArgument naming the option; what
  // `check` throws. REQUIRES: `prompt` was made by this engine.
  virtual Explanation explain(const PreparedPrompt&, const SamplingParams&, const ExplainOptions&,
                              const ExplainCheck&) const {
    throw Error(Code::kUnimplemented, "this engine explains nothing");
  }

  // --- the scheduler's thread only ---
  // Effect: registers a sequence; computes nothing. Errors: check_routing. REQUIRES: `prompt` was made by this engine.
  virtual SequenceId admit(PreparedPromptPtr prompt, const SamplingParams& sampling) = 0;
  // The routing of every token computed so far; empty where the engine keeps none.
  virtual RoutingRecord routing_record(SequenceId) const { return {}; }
  // Effect: frees the sequence's pages and forgets it. Unknown ids are ignored.
  virtual void release(SequenceId id) = 0;
  // Effect: frees the pages but keeps the tokens: prompt and answer so far are computed again when planned, as far as
  // the prefix cache has forgotten them.
  virtual void preempt(SequenceId id) = 0;
  // Tokens that must be computed before the next one can be sampled (prompt, or recomputation); 1 while decoding.
  virtual int tokens_to_compute(SequenceId id) const = 0;
  // Effect: runs one step. A sequence at fault gets its own `error`; a throw means that the whole step failed and that
  // none of its sequences can go on.
  virtual StepResult step(const StepPlan& plan) = 0;
  virtual CacheUsage cache_usage() const = 0;
  // Effect: a few steps on synthetic prompts of several sizes, so that the first request does not pay for them.
  virtual void warm_up() = 0;
};

}  // namespace sf
