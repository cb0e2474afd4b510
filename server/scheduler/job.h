// One request from submit to its terminal event: its text, its usage, its times.
//
//   Job job(std::move(request), *engine, stream, std::move(ticket), version);
//   const std::optional<FinishReason> end = job.on_token({.token = 17, .logprob = -0.2f}, {}, false, clock.now_s());
//   if (end) job.finish(*end, clock.now_s());
//
// One thread at a time: the service's hands it to the scheduler's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/scheduler/admission_queue.h"
#include "server/scheduler/event_queue.h"
#include "server/scheduler/step_planner.h"
#include "server/scheduler/stop_matcher.h"

namespace sf::server {

struct JobRequest {
  std::string request_id;
  std::string api;
  std::string tenant;  // the API key's name; empty without keys
  PreparedPromptPtr prompt;
  SamplingParams sampling;
  std::vector<std::string> stop;
  bool logprobs = false;  // events carry their tokens
  Priority priority = Priority::kInteractive;
  double submitted_s = 0;  // when the service got it
  double deadline_s = 0;
};

enum class Phase { kQueued, kPrefill, kDecode };

class Job {
 public:
  // `keep_alive` holds the model version until the job is gone. REQUIRES: the request's prompt was made by `engine`.
  Job(JobRequest request, const Engine& engine, std::shared_ptr<EventQueue> stream, Ticket ticket,
      std::shared_ptr<const void> keep_alive);

  const JobRequest& request() const { return request_; }
  const EventQueue& stream() const { return *stream_; }
  int max_new_tokens() const { return max_new_tokens_; }
  int completion_tokens() const { return usage_.completion_tokens; }
  // Tokens at most that are tried at once beyond the prompt before the answer is known.
  int choice_tokens() const { return request_.sampling.choices ? request_.sampling.choices->longest_tokens : 0; }
  Phase phase() const;

  // --- the scheduler's thread ---
  void on_queued(double now_s) { queued_s_ = now_s; }
  // Effect: leaves the queue: its ticket is given back.
  void on_admitted(SequenceId id, double now_s);
  // Counts of one step, with or without a token.
  void on_step(const SequenceStepResult& result);
  // Effect: sends the token's text as far as no stop string can begin in it. Returns how the answer ends, if it does.
  // `top`: the likeliest tokens in its place.
  std::optional<FinishReason> on_token(TokenGuess token, const std::vector<TokenGuess>& top, bool stop_token,
                                       double now_s);
  // The prompt of an answer with choices is computed; they are being scored.
  void on_choosing(double now_s) {
    if (first_token_s_ == 0) first_token_s_ = now_s;
  }
  // Effect: sends the chosen answer whole. Then finish() is due.
  void on_chosen(const ChosenAnswer& chosen, double now_s);
  void finish(FinishReason reason, double now_s);
  // Effect: the summary will hold the record. REQUIRES: before finish().
  void set_routing(RoutingRecord record) { routing_ = std::make_shared<const RoutingRecord>(std::move(record)); }
  void fail(Error error) { stream_->fail(std::move(error)); }

  SequenceId sequence() const { return sequence_; }
  double queued_s() const { return queued_s_; }
  double admitted_s() const { return admitted_s_; }
  double first_token_s() const { return first_token_s_; }
  double last_token_s() const { return last_token_s_; }

 private:
  std::shared_ptr<const void> keep_alive_;  // first, so that it goes last
  JobRequest request_;
  std::shared_ptr<EventQueue> stream_;
  std::optional<Ticket> ticket_;
  std::unique_ptr<TokenStream> text_;
  StopMatcher stop_matcher_;
  int max_new_tokens_;
  SequenceId sequence_ = 0;
  Usage usage_;
  uint64_t assigned_tokens_ = 0;
  uint64_t overflow_tokens_ = 0;
  std::shared_ptr<const RoutingRecord> routing_;
  std::vector<ChoiceProbability> choices_;
  double queued_s_ = 0, admitted_s_ = 0, first_token_s_ = 0, last_token_s_ = 0;
};

}  // namespace sf::server
