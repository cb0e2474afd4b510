// The second half of Scheduler: one engine step and what came of it.
#include <algorithm>
#include <utility>

#include "server/scheduler/scheduler.h"

namespace sf::server {
namespace {

// What a client may know of an engine's error: its own faults in full, ours not at all.
Error public_error(const Error& error) {
  const bool callers_fault = error.code() == Code::kInvalidArgument || error.code() == Code::kResourceExhausted;
  return callers_fault ? error : Error(Code::kInternal, "the engine failed this request");
}

}  // namespace

void Scheduler::run_step(const StepPlan& plan) {
  const double begin_s = deps_.clock->now_s();
  StepResult result;
  try {
    result = deps_.engine->step(plan);
  } catch (const std::exception& error) {
    deps_.version_metrics->record_failed_step();
    for (const StepPlan::Item& item : plan.items) {
      fail_running(item.id, Error(Code::kInternal, "the engine failed this request"), concat("step: ", error.what()));
    }
    return;
  }
  const double now_s = deps_.clock->now_s();
  StepSample sample;
  sample.step_seconds = now_s - begin_s;
  sample.batch_size = static_cast<int>(plan.items.size());
  sample.result = &result;
  deliver(result, now_s, sample);
  sample.cache = deps_.engine->cache_usage();
  deps_.version_metrics->record_step(sample);
}

void Scheduler::deliver(const StepResult& result, double now_s, StepSample& sample) {
  bool out_of_pages = false;
  for (const SequenceStepResult& sequence : result.sequences) {
    Running* running = find_running(sequence.id);
    if (running == nullptr) continue;
    running->job->on_step(sequence);
    if (sequence.error) {
      fail_running(sequence.id, public_error(*sequence.error), concat("sequence: ", sequence.error->what()));
      continue;
    }
    out_of_pages = out_of_pages || sequence.out_of_pages;
    if (sequence.choosing) {
      if (running->job->phase() == Phase::kPrefill) sample.prefill_s.push_back(now_s - running->job->admitted_s());
      running->job->on_choosing(now_s);
    }
    if (sequence.chosen) {
      deliver_chosen(*running->job, *sequence.chosen, now_s, sample);
      remove_running(sequence.id);
      continue;
    }
    for (size_t i = 0; i < sequence.tokens.size(); ++i) {
      if (deliver_token(*running->job, sequence, i, now_s, sample)) {
        remove_running(sequence.id);
        break;
      }
    }
  }
  if (out_of_pages) make_room();
}

void Scheduler::deliver_chosen(Job& job, const ChosenAnswer& chosen, double now_s, StepSample& sample) {
  sample.generated_tokens += chosen.num_tokens;
  sample.first_token_s.push_back(now_s - job.request().submitted_s);
  job.on_chosen(chosen, now_s);
  sample.decode_s.push_back(now_s - job.first_token_s());
  sample.answers.push_back(
      {.cut = false, .prompt_tokens = job.request().prompt->num_tokens(), .generated_tokens = chosen.num_tokens});
  job.finish(FinishReason::kStop, now_s);
}

bool Scheduler::deliver_token(Job& job, const SequenceStepResult& result, size_t token, double now_s,
                              StepSample& sample) {
  static const std::vector<TokenGuess> kNone;
  const bool stop_token = result.stop_token && token + 1 == result.tokens.size();
  const float logprob = token < result.logprobs.size() ? result.logprobs[token] : 0.0f;
  const std::vector<TokenGuess>& top = token < result.top.size() ? result.top[token] : kNone;
  ++sample.generated_tokens;
  if (job.completion_tokens() == 0) {
    sample.first_token_s.push_back(now_s - job.request().submitted_s);
    sample.prefill_s.push_back(now_s - job.admitted_s());
  } else {
    sample.inter_token_s.push_back(now_s - job.last_token_s());
  }
  const std::optional<FinishReason> end = job.on_token({result.tokens[token], logprob}, top, stop_token, now_s);
  if (!end) return false;
  sample.decode_s.push_back(now_s - job.first_token_s());
  sample.answers.push_back({.cut = *end == FinishReason::kLength,
                            .prompt_tokens = job.request().prompt->num_tokens(),
                            .generated_tokens = job.completion_tokens()});
  if (job.request().sampling.record_routing) job.set_routing(deps_.engine->routing_record(job.sequence()));
  job.finish(*end, now_s);
  return true;
}

void Scheduler::make_room() {
  const auto youngest = std::find_if(running_.rbegin(), running_.rend(), [](const Running& r) { return !r.preempted; });
  if (youngest == running_.rend()) return;
  const SequenceId id = youngest->job->sequence();
  const auto active = std::count_if(running_.begin(), running_.end(), [](const Running& r) { return !r.preempted; });
  if (active == 1) {
    fail_running(id, Error(Code::kResourceExhausted, "the key-value cache is too small for this request"),
                 "out of pages with nobody else running");
    return;
  }
  youngest->preempted = true;
  deps_.version_metrics->record_preemption();
  try {
    deps_.engine->preempt(id);
  } catch (const std::exception& error) {
    fail_running(id, Error(Code::kInternal, "the engine failed this request"), concat("preempt: ", error.what()));
  }
}

void Scheduler::fail_running(SequenceId id, Error error, const std::string& what) {
  Running* running = find_running(id);
  if (running == nullptr) return;
  deps_.log_failure(running->job->request().request_id, what);
  running->job->fail(std::move(error));
  remove_running(id);
}

void Scheduler::remove_running(SequenceId id) {
  try {
    deps_.engine->release(id);
  } catch (const std::exception& error) {
    deps_.log_failure("", concat("release: ", error.what()));
  }
  std::erase_if(running_, [id](const Running& running) { return running.job->sequence() == id; });
  job_ended();
}

Scheduler::Running* Scheduler::find_running(SequenceId id) {
  const auto found =
      std::find_if(running_.begin(), running_.end(), [id](const Running& r) { return r.job->sequence() == id; });
  return found == running_.end() ? nullptr : &*found;
}

}  // namespace sf::server
