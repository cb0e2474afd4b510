#include "engine/runtime/torch_engine.h"

#include <algorithm>
#include <span>
#include <unordered_map>

#include "engine/base/usable_processors.h"
#include "engine/runtime/batch_embedding.h"
#include "engine/runtime/checkpoint_model.h"
#include "engine/runtime/device.h"
#include "engine/runtime/engine_token_stream.h"
#include "engine/runtime/expert_stats.h"
#include "engine/runtime/explain/explain.h"
#include "engine/runtime/logits_processors.h"
#include "engine/runtime/paged_attention.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/routing_replay.h"
#include "engine/runtime/sequence_pages.h"
#include "engine/runtime/trie_cursor.h"

namespace sf {
namespace {

void check_capacity_mode(const std::string& mode, const MoeConfig& moe) {
  if (mode != "account" && mode != "strict") {
    throw invalid_argument("capacity-mode", "capacity-mode: must be account or strict, got ", mode);
  }
  if (mode == "strict" && moe.drop_order != DropOrder::kPosition) {
    throw invalid_argument("capacity-mode",
                           "capacity-mode: strict drops in position order, but the model was trained with "
                           "drop_order ",
                           moe.drop_order, ", where a later token can take an earlier one's place; use account");
  }
}

class TorchEngine : public Engine {
 public:
  TorchEngine(const VerifiedCheckpoint& checkpoint, const TorchEngineOptions& options)
      : options_(options), device_(choose_device(options.device)), model_(load_checkpoint_model(checkpoint)) {
    if (options.max_context > 0) {
      model_.config.decoder.max_context = std::min(options.max_context, model_.config.decoder.max_context);
    }
    check_capacity_mode(options.capacity_mode, model_.config.decoder.moe);
    SF_REQUIRE(options.count_experts || (!options.prefix_cache && options.capacity_mode == "account"),
               "engine: a prefix cache and strict capacity need the experts counted");
    model_.vlm->to(device_);
    const DecoderConfig& decoder = model_.config.decoder;
    // A device's own allocator says so itself.
    const MemoryLimit memory = device_.is_cpu() ? memory_limit() : MemoryLimit{};
    const KvCacheOptions cache = KvCache::options_for(options.kv_cache_mib, decoder, memory);
    pages_ = std::make_unique<SequencePages>(SequencePagesOptions{cache, options.prefix_cache, checkpoint.digest()},
                                             decoder, device_);
    end_tokens_ = end_tokens_of(*model_.tokenizer);
    prompts_ = std::make_unique<PromptMaker>(model_.tokenizer, model_.config, options.image_limits);
    fill_info(checkpoint);
  }

  const ModelInfo& info() const override { return info_; }
  PromptCost estimate_cost(const std::vector<Message>& messages) const override {
    return prompts_->estimate_cost(messages);
  }
  PreparedPromptPtr prepare(const std::vector<Message>& messages, const PrepareCheck& check) const override {
    auto prompt = prompts_->make(messages, check);
    prompt->owner = this;
    return prompt;
  }
  std::unique_ptr<TokenStream> token_stream() const override {
    return std::make_unique<EngineTokenStream>(model_.tokenizer);
  }
  PreparedChoicesPtr prepare_choices(const std::vector<std::string>& texts) const override {
    return prompts_->make_choices(texts);
  }
  Explanation explain(const PreparedPrompt& prompt, const SamplingParams& sampling, const ExplainOptions& options,
                      const ExplainCheck& check) const override {
    const auto* mine = dynamic_cast<const EnginePrompt*>(&prompt);
    SF_CHECK(mine && mine->owner == this, "engine: the prompt was made by another engine");
    const double strict_factor = options_.capacity_mode == "strict" ? info_.capacity_factor : 0;
    const ExplainedModel model{*model_.vlm, model_.tokenizer, device_, info_.max_context, strict_factor};
    return explain_answer(model, *mine, sampling, options, check);
  }

  SequenceId admit(PreparedPromptPtr prompt, const SamplingParams& sampling) override;
  RoutingRecord routing_record(SequenceId id) const override;
  void release(SequenceId id) override;
  void preempt(SequenceId id) override;
  int tokens_to_compute(SequenceId id) const override;
  StepResult step(const StepPlan& plan) override;
  CacheUsage cache_usage() const override {
    return {cache().num_pages(), cache().num_pages() - cache().free_pages(), cache().page_size(), cache().idle_pages()};
  }
  void warm_up() override;

 private:
  void fill_info(const VerifiedCheckpoint& checkpoint);
  const KvCache& cache() const { return pages_->cache(); }
  // Assignments that an expert takes of one causal window of a request.
  int64_t window_capacity() const { return capacity_of_window(model_.config.decoder.moe, info_.capacity_factor); }
  std::vector<BatchPart> plan_parts(const StepPlan& plan, StepResult& result);
  bool begin_sequence(Sequence& sequence, const std::vector<BatchPart>& parts, SequenceStepResult& out,
                      StepResult& result);
  std::vector<SamplingRow> sampling_rows(const Batch& batch) const;
  void deliver_tokens(const Batch& batch, const ExpertStats::HostStep& host, StepResult& result);
  void score_choices(Sequence& sequence, std::span<const float> logprobs, SequenceStepResult& out);
  void deliver(const Batch& batch, ExpertStats::HostStep host, StepResult& result);
  void run_to_end(int text_tokens);

  TorchEngineOptions options_;
  const int threads_ = threads_or_default(options_.threads);
  at::Device device_;
  const Ops& ops_ = ops_for(device_);
  CheckpointModel model_;
  std::unique_ptr<SequencePages> pages_;
  std::unique_ptr<PromptMaker> prompts_;
  std::vector<int> end_tokens_;
  ModelInfo info_;
  std::unordered_map<SequenceId, std::unique_ptr<Sequence>> sequences_;
  std::unordered_map<SequenceId, size_t> result_of_;  // of the step in progress
  SequenceId next_id_ = 1;
};

void TorchEngine::fill_info(const VerifiedCheckpoint& checkpoint) {
  const ModelConfig& config = model_.config;
  const Manifest& manifest = checkpoint.manifest();
  info_.digest = checkpoint.digest();
  info_.step = manifest.step;
  info_.created_unix = manifest.created_unix;
  info_.max_context = config.decoder.max_context;
  info_.max_image_tokens = max_image_tokens(config);
  if (config.has_vision()) {
    info_.image_size = choose_grid(1, 1, preprocess_options(config.image)).rows * config.image.cell_size;
  }
  info_.vocab_size = model_.tokenizer->vocab_size();
  info_.num_layers = config.decoder.num_layers;
  info_.dense_layers = config.decoder.dense_layers;
  info_.num_experts = config.decoder.moe.num_experts;
  info_.top_k = config.decoder.moe.top_k;
  info_.capacity_factor = options_.capacity_factor > 0 ? options_.capacity_factor : config.decoder.moe.capacity_factor;
  info_.num_parameters = model_.vlm->num_parameters();
  info_.num_active_parameters = model_.vlm->num_active_parameters();
  info_.device = device_.str();
  info_.is_reference = device_.is_cpu() && options_.capacity_mode == "account";
  info_.default_sampling = model_.sampling;
  for (const auto& layer : manifest.expert_histogram) {
    info_.expert_histogram.insert(info_.expert_histogram.end(), layer.begin(), layer.end());
  }
  const size_t cells = static_cast<size_t>(info_.num_layers) * info_.num_experts;
  if (!info_.expert_histogram.empty() && info_.expert_histogram.size() != cells) {
    throw invalid_argument("manifest.json", "manifest.json: expert_histogram is not [", info_.num_layers, " layers, ",
                           info_.num_experts, " experts]");
  }
}

SequenceId TorchEngine::admit(PreparedPromptPtr prompt, const SamplingParams& sampling) {
  auto mine = std::dynamic_pointer_cast<const EnginePrompt>(prompt);
  SF_CHECK(mine && mine->owner == this, "engine: the prompt was made by another engine");
  SF_CHECK(options_.count_experts || (!sampling.replay_routing && !sampling.record_routing),
           "engine: routing is not kept");
  if (sampling.replay_routing) check_routing(*sampling.replay_routing, info_);
  auto sequence = std::make_unique<Sequence>();
  sequence->id = next_id_++;
  sequence->ids = mine->tokens.ids;
  if (sampling.choices) {
    auto trie = std::dynamic_pointer_cast<const ChoiceTrie>(sampling.choices);
    SF_CHECK(trie && !sampling.replay_routing && !sampling.record_routing,
             "engine: choices of another engine, or with routing");
    const std::vector<int>& path = sequence->cursor.emplace(std::move(trie)).node().path;
    sequence->ids.insert(sequence->ids.end(), path.begin(), path.end());
  }
  sequence->prompt = std::move(mine);
  sequence->sampling = sampling;
  sequence->window = CapacityWindow(info_.num_layers, info_.num_experts);
  sequence->image_PM.resize(sequence->prompt->pixels.size());
  // Forced experts leave other keys and values than the content says.
  sequence->shares_prefixes =
      !sampling.replay_routing && sequence->prompt->image_digests.size() == sequence->prompt->pixels.size();
  const SequenceId id = sequence->id;
  sequences_.emplace(id, std::move(sequence));
  return id;
}

RoutingRecord TorchEngine::routing_record(SequenceId id) const {
  auto found = sequences_.find(id);
  SF_CHECK(found != sequences_.end(), "engine: unknown sequence ", id);
  RoutingRecord record{info_.num_routed_layers(), info_.top_k, {}, {}};
  for (int i = 0; i < found->second->computed; ++i) {
    const auto ids = pages_->routing().ids(*found->second, i);
    const auto gates = pages_->routing().gates(*found->second, i);
    record.ids.insert(record.ids.end(), ids.begin(), ids.end());
    record.gates.insert(record.gates.end(), gates.begin(), gates.end());
  }
  return record;
}

void TorchEngine::release(SequenceId id) {
  auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  pages_->release(*found->second);
  sequences_.erase(found);
}

void TorchEngine::preempt(SequenceId id) {
  auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  pages_->release(*found->second);
}

int TorchEngine::tokens_to_compute(SequenceId id) const {
  auto found = sequences_.find(id);
  SF_CHECK(found != sequences_.end(), "engine: unknown sequence ", id);
  return static_cast<int>(found->second->ids.size()) - found->second->computed;
}

std::vector<BatchPart> TorchEngine::plan_parts(const StepPlan& plan, StepResult& result) {
  std::vector<BatchPart> parts;
  result_of_.clear();
  for (const StepPlan::Item& item : plan.items) {
    result_of_[item.id] = result.sequences.size();
    SequenceStepResult& out = result.sequences.emplace_back();
    out.id = item.id;
    auto found = sequences_.find(item.id);
    if (found == sequences_.end()) {
      out.error = Error(Code::kInternal, "engine: unknown sequence");
      continue;
    }
    Sequence& sequence = *found->second;
    if (sequence.computed == 0 && !begin_sequence(sequence, parts, out, result)) continue;
    const int left = static_cast<int>(sequence.ids.size()) - sequence.computed;
    const int count = std::min(item.num_tokens, left);
    if (count <= 0 || sequence.computed + count > info_.max_context) {
      out.error = Error(Code::kInternal, "engine: nothing to compute, or beyond the context");
      continue;
    }
    if (!pages_->extend(sequence, sequence.computed + count)) {
      out.out_of_pages = true;
      continue;
    }
    parts.push_back({&sequence, sequence.computed, count});
  }
  return parts;
}

// Effect: takes from the prefix cache what it has of a sequence that is computed from its beginning. False if the
// sequence had better wait a step, because one of `parts` computes the image that it needs next.
bool TorchEngine::begin_sequence(Sequence& sequence, const std::vector<BatchPart>& parts, SequenceStepResult& out,
                                 StepResult& result) {
  const PrefixHit hit = pages_->reuse(sequence);
  for (const BatchPart& part : parts) {
    if (!pages_->worth_waiting(sequence, *part.sequence, part.begin)) continue;
    pages_->release(sequence);
    return false;
  }
  const RequestCounts counts = pages_->routing().recount(sequence, hit.tokens, window_capacity());
  sequence.counted = std::max(sequence.counted, hit.tokens);
  out.assigned_tokens += counts.assigned;
  out.overflow_tokens += counts.overflow;
  if (sequence.looked_up || !sequence.shares_prefixes || !options_.prefix_cache) return true;
  sequence.looked_up = true;  // what comes back after a preemption is no new request
  out.cached_tokens = static_cast<uint32_t>(hit.tokens);
  result.prefix_cache_queries += sequence.prompt->num_tokens();
  result.prefix_cache_hits += std::min(hit.tokens, sequence.prompt->num_tokens());
  result.image_cache_queries += static_cast<int>(sequence.prompt->tokens.images.size());
  result.image_cache_hits += hit.images;
  return true;
}

StepResult TorchEngine::step(const StepPlan& plan) {
  torch::NoGradGuard no_grad;
  at::set_num_threads(threads_);
  StepResult result;
  const std::vector<BatchPart> parts = plan_parts(plan, result);
  if (parts.empty()) return result;
  const EncodedImages encoded = encode_images(*model_.vlm, parts, device_);
  result.images_encoded = encoded.count;
  result.image_encode_seconds = encoded.seconds;
  const Batch batch = make_batch(parts, cache(), device_);
  ExpertStats stats(model_.config.decoder, info_.capacity_factor);
  RoutingReplay replay(batch, model_.config.decoder, device_);
  PagedAttention attention(batch.attention, cache(), ops_, device_);
  DecoderInput input = embed_batch(*model_.vlm, batch);
  input.ops = &ops_;
  if (replay.any()) input.routing_hook = &replay;
  input.positions_T = model_.config.decoder.rope == RopeKind::kMrope2d ? mrope_positions(batch) : batch.positions_T;
  std::optional<StrictCapacity> strict;
  if (options_.capacity_mode == "strict") {
    input.capacity = &strict.emplace(batch, model_.config.decoder, info_.capacity_factor, device_);
  }
  at::Tensor hidden_TD = model_.vlm->decoder().forward(input, attention, options_.count_experts ? &stats : nullptr);
  std::optional<Sampled> sampled;
  if (!batch.sampling_parts.empty()) {
    const at::Tensor logits_SV = model_.vlm->decoder().logits(hidden_TD.index_select(0, batch.last_token));
    sampled = sample(logits_SV.to(at::kFloat), sampling_rows(batch));
  }
  deliver(batch, stats.finish(batch, sampled ? &*sampled : nullptr), result);
  return result;
}

// What is drawn or read behind the last token of every part that has one due.
std::vector<SamplingRow> TorchEngine::sampling_rows(const Batch& batch) const {
  std::vector<SamplingRow> rows;
  for (size_t p : batch.sampling_parts) {
    const Sequence& sequence = *batch.parts[p].sequence;
    const auto position = static_cast<int64_t>(sequence.ids.size());
    if (sequence.cursor) {
      rows.push_back({.params = {}, .position = position, .candidates = sequence.cursor->node().children});
      continue;
    }
    const std::span<const int> ids(sequence.ids);
    const auto prompt_tokens = static_cast<size_t>(sequence.prompt->num_tokens());
    rows.push_back({.params = sequence.sampling,
                    .position = position,
                    .prompt = ids.first(prompt_tokens),
                    .answer = ids.subspan(prompt_tokens),
                    .end_tokens = end_tokens_});
  }
  return rows;
}

// Effect: one node of the sequence's choices is scored; it goes on to the next one, whose path replaces the tokens
// tried so far as far as they differ, or has its answer.
void TorchEngine::score_choices(Sequence& sequence, std::span<const float> logprobs, SequenceStepResult& out) {
  out.choosing = true;
  const int prompt_tokens = sequence.prompt->num_tokens();
  if (sequence.cursor->score(logprobs)) {
    out.chosen = sequence.cursor->choose(sequence.sampling, prompt_tokens);
    return;
  }
  const std::vector<int>& path = sequence.cursor->node().path;
  sequence.computed = prompt_tokens + sequence.cursor->common();
  sequence.counted = std::min(sequence.counted, sequence.computed);
  sequence.ids.resize(prompt_tokens);
  sequence.ids.insert(sequence.ids.end(), path.begin(), path.end());
  pages_->routing().recount(sequence, sequence.computed, window_capacity());
}

void TorchEngine::deliver_tokens(const Batch& batch, const ExpertStats::HostStep& host, StepResult& result) {
  std::span<const float> details = host.details;
  const auto take = [&details](size_t count) {
    const std::span<const float> taken = details.first(count);
    details = details.subspan(count);
    return taken;
  };
  for (size_t i = 0; i < batch.sampling_parts.size(); ++i) {
    Sequence& sequence = *batch.parts[batch.sampling_parts[i]].sequence;
    SequenceStepResult& out = result.sequences[result_of_.at(sequence.id)];
    const size_t num_top =
        sequence.cursor ? 0 : std::min(sequence.sampling.top_logprobs, model_.tokenizer->vocab_size());
    const std::span<const float> top_ids = take(num_top), top_logprobs = take(num_top);
    const std::span<const float> candidates = take(sequence.cursor ? sequence.cursor->node().children.size() : 0);
    if (!host.finite[i]) {
      ++result.nonfinite_logits;
      pages_->withdraw(sequence);
      out.error = Error(Code::kInternal, "engine: the model's logits are not finite");
      continue;
    }
    if (sequence.cursor) {
      score_choices(sequence, candidates, out);
      continue;
    }
    out.tokens.push_back(host.tokens[i]);
    out.logprobs.push_back(host.logprobs[i]);
    std::vector<TokenGuess>& top = out.top.emplace_back();
    for (size_t t = 0; t < num_top; ++t) top.push_back({static_cast<int>(top_ids[t]), top_logprobs[t]});
    out.stop_token = model_.tokenizer->is_end(host.tokens[i]);
    sequence.ids.push_back(host.tokens[i]);
  }
}

void TorchEngine::deliver(const Batch& batch, ExpertStats::HostStep host, StepResult& result) {
  if (options_.count_experts) pages_->routing().record(batch, host.routing_LTW.const_data_ptr<float>());
  for (size_t p = 0; p < batch.parts.size(); ++p) {
    const BatchPart& part = batch.parts[p];
    part.sequence->computed = part.begin + part.count;
    part.sequence->counted = std::max(part.sequence->counted, part.sequence->computed);
    SequenceStepResult& out = result.sequences[result_of_.at(part.sequence->id)];
    out.assigned_tokens += host.assigned[p];
    out.overflow_tokens += host.overflow[p];
  }
  deliver_tokens(batch, host, result);
  for (const BatchPart& part : batch.parts) {
    // A page that a decoding sequence fills token by token is worth finding once it is full.
    const bool whole = part.sequence->computed % cache().page_size() == 0;
    if (part.count > 1 || whole) pages_->publish(*part.sequence, part.begin);
  }
  if (options_.count_experts) result.moe = std::move(host.moe);
}

// A made-up prompt, computed and decoded for two tokens.
void TorchEngine::run_to_end(int text_tokens) {
  const std::shared_ptr<EnginePrompt> prompt = made_up_prompt(model_.config, *model_.tokenizer, text_tokens);
  prompt->owner = this;
  const SequenceId id = admit(prompt, {});
  for (int i = 0; i < 3; ++i) step({{{id, tokens_to_compute(id)}}});
  release(id);
}

// Torch says that memory is short in two ways: a type of its own for devices, a plain error for the CPU's allocator.
// Neither is the checkpoint's fault: the reloader tries it again.
template <typename Work>
auto with_memory_errors(const std::string& device, const Work& work) {
  const auto refuse = [&](const c10::Error& error) {
    throw Error(Code::kResourceExhausted, concat("memory of ", device, ": ", error.what_without_backtrace()));
  };
  try {
    return work();
  } catch (const c10::OutOfMemoryError& error) {
    refuse(error);
    throw;
  } catch (const c10::Error& error) {
    const std::string_view what = error.what_without_backtrace();
    if (what.find("DefaultCPUAllocator: can't allocate memory") != std::string_view::npos) refuse(error);
    throw;
  }
}

void TorchEngine::warm_up() {
  with_memory_errors(options_.device, [this] {
    run_to_end(8);
    run_to_end(24);
  });
}

}  // namespace

std::unique_ptr<Engine> make_torch_engine(const VerifiedCheckpoint& checkpoint, const TorchEngineOptions& options) {
  at::set_num_threads(threads_or_default(options.threads));  // of the thread that loads
  return with_memory_errors(
      options.device, [&]() -> std::unique_ptr<Engine> { return std::make_unique<TorchEngine>(checkpoint, options); });
}

}  // namespace sf
