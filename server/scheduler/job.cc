#include "server/scheduler/job.h"

#include <algorithm>
#include <utility>

namespace sf::server {

Job::Job(JobRequest request, const Engine& engine, std::shared_ptr<EventQueue> stream, Ticket ticket,
         std::shared_ptr<const void> keep_alive)
    : keep_alive_(std::move(keep_alive)),
      request_(std::move(request)),
      stream_(std::move(stream)),
      ticket_(std::move(ticket)),
      text_(engine.token_stream()),
      stop_matcher_(request_.stop),
      max_new_tokens_(std::max(
          1, std::min(request_.sampling.max_tokens, engine.info().max_context - request_.prompt->num_tokens()))) {
  request_.sampling.max_tokens = max_new_tokens_;
  usage_.prompt_tokens = request_.prompt->num_tokens();
  usage_.image_tokens = request_.prompt->num_image_tokens();
}

Phase Job::phase() const {
  if (admitted_s_ == 0) return Phase::kQueued;
  return first_token_s_ == 0 ? Phase::kPrefill : Phase::kDecode;
}

void Job::on_admitted(SequenceId id, double now_s) {
  sequence_ = id;
  admitted_s_ = now_s;
  ticket_.reset();
}

void Job::on_step(const SequenceStepResult& result) {
  assigned_tokens_ += result.assigned_tokens;
  overflow_tokens_ += result.overflow_tokens;
  usage_.cached_tokens = std::min<int>(usage_.prompt_tokens, usage_.cached_tokens + result.cached_tokens);
}

std::optional<FinishReason> Job::on_token(TokenGuess token, const std::vector<TokenGuess>& top, bool stop_token,
                                          double now_s) {
  if (usage_.completion_tokens == 0) first_token_s_ = now_s;
  last_token_s_ = now_s;
  ++usage_.completion_tokens;
  if (stop_token) return FinishReason::kStop;
  std::vector<TokenLogprob> tokens;
  if (request_.logprobs) {
    TokenLogprob& reported = tokens.emplace_back();
    reported.logprob = token.logprob;
    for (const TokenGuess& guess : top) reported.top.push_back({text_->peek(guess.token), guess.logprob});
  }
  const std::string text = text_->push(token.token);
  if (request_.logprobs) tokens.back().text = text;
  // As vLLM does: what is said before min_tokens is no part of a stop string.
  const bool too_early = usage_.completion_tokens <= request_.sampling.min_tokens;
  stream_->push(too_early ? text : stop_matcher_.push(text), std::move(tokens));
  if (stop_matcher_.stopped()) return FinishReason::kStop;
  if (usage_.completion_tokens >= max_new_tokens_) return FinishReason::kLength;
  return std::nullopt;
}

void Job::on_chosen(const ChosenAnswer& chosen, double now_s) {
  on_choosing(now_s);
  last_token_s_ = now_s;
  usage_.completion_tokens = chosen.num_tokens;
  const std::vector<std::string>& texts = request_.sampling.choices->texts;
  for (size_t i = 0; i < texts.size(); ++i) choices_.push_back({texts[i], chosen.probabilities.at(i)});
  stream_->push(texts.at(static_cast<size_t>(chosen.index)));
}

void Job::finish(FinishReason reason, double now_s) {
  if (!stop_matcher_.stopped()) {
    stream_->push(stop_matcher_.push(text_->finish()));
    if (stop_matcher_.stopped()) reason = FinishReason::kStop;
    stream_->push(stop_matcher_.finish());
  }
  Summary summary;
  summary.finish_reason = reason;
  summary.usage = usage_;
  summary.assigned_tokens = assigned_tokens_;
  summary.overflow_tokens = overflow_tokens_;
  summary.routing = routing_;
  summary.choices = choices_;
  summary.timings.queue_ms = (admitted_s_ - queued_s_) * 1e3;
  summary.timings.image_ms = request_.prompt->image_decode_seconds() * 1e3;
  summary.timings.prefill_ms = (first_token_s_ - admitted_s_) * 1e3;
  summary.timings.decode_ms = (now_s - first_token_s_) * 1e3;
  summary.timings.total_ms = (now_s - request_.submitted_s) * 1e3;
  stream_->finish(std::move(summary));
}

}  // namespace sf::server
