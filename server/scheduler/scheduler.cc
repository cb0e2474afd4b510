#include "server/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

namespace sf::server {
namespace {

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::kQueued:
      return "queued";
    case Phase::kPrefill:
      return "prefill";
    case Phase::kDecode:
      return "decode";
  }
  return "queued";
}

Error going_down() { return Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining); }

}  // namespace

Scheduler::Scheduler(SchedulerDeps deps, SchedulerOptions options)
    : deps_(std::move(deps)), options_(options), queue_(options.queue) {
  SF_REQUIRE(options.planner.max_batch >= 1, "scheduler: max_batch must be at least 1, got ",
             options.planner.max_batch);
  SF_REQUIRE(options.planner.max_step_tokens >= options.planner.max_batch, "scheduler: max_step_tokens ",
             options.planner.max_step_tokens, " is below max_batch ", options.planner.max_batch);
}

Scheduler::~Scheduler() { fail_all(); }

void Scheduler::submit(std::unique_ptr<Job> job) {
  const double now_s = deps_.clock->now_s();
  job->on_queued(now_s);
  if (num_jobs_.fetch_add(1, std::memory_order_relaxed) == 0) last_progress_s_.store(now_s, std::memory_order_relaxed);
  queue_.push(std::move(job));
}

double Scheduler::last_step_age_s() const {
  if (num_jobs_.load(std::memory_order_relaxed) == 0) return 0;
  return std::max(0.0, deps_.clock->now_s() - last_progress_s_.load(std::memory_order_relaxed));
}

void Scheduler::abort() {
  aborted_.store(true, std::memory_order_relaxed);
  queue_.wake();
}

bool Scheduler::wait_for_work() {
  if (running_.empty() && waiting_.empty()) return queue_.wait();
  return !queue_.stopped();
}

void Scheduler::step_once() {
  try {
    if (aborted_.load(std::memory_order_relaxed)) {
      fail_all();
    } else {
      plan_and_run();
    }
  } catch (const std::exception& error) {
    // Nothing above is meant to throw: an engine in this state is trusted with none of its sequences.
    deps_.log_failure("", concat("scheduler: ", error.what()));
    fail_all();
  }
  num_running_.store(static_cast<int>(running_.size()), std::memory_order_relaxed);
  last_progress_s_.store(deps_.clock->now_s(), std::memory_order_relaxed);
}

void Scheduler::plan_and_run() {
  for (std::unique_ptr<Job>& job : queue_.take()) waiting_.push_back(std::move(job));
  const StepDecision decision = plan_step(planner_input(), options_.planner);
  drop(decision);
  resume(decision);
  admit(decision);
  forget_turns();
  const StepPlan plan = plan_of(decision);
  if (!plan.items.empty()) run_step(plan);
}

void Scheduler::fail_all() {
  for (std::unique_ptr<Job>& job : queue_.take()) waiting_.push_back(std::move(job));
  for (const std::unique_ptr<Job>& job : waiting_) {
    job->fail(going_down());
    job_ended();
  }
  waiting_.clear();
  while (!running_.empty()) {
    running_.back().job->fail(going_down());
    remove_running(running_.back().job->sequence());
  }
  num_running_.store(0, std::memory_order_relaxed);
}

PlannerInput Scheduler::planner_input() const {
  PlannerInput input;
  for (const std::unique_ptr<Job>& job : waiting_) {
    input.waiting.push_back({.key = key_of(*job),
                             .priority = job->request().priority,
                             .tenant = job->request().tenant,
                             .last_admission = last_admission_of(job->request().tenant),
                             .queued_s = job->queued_s(),
                             .deadline_s = job->request().deadline_s,
                             .prompt_tokens = job->request().prompt->num_tokens(),
                             .more_tokens = job->choice_tokens(),
                             .cancelled = job->stream().cancelled()});
  }
  for (const Running& running : running_) {
    const Job& job = *running.job;
    input.running.push_back({.key = key_of(job),
                             .tenant = job.request().tenant,
                             .deadline_s = job.request().deadline_s,
                             .tokens_to_compute = deps_.engine->tokens_to_compute(job.sequence()),
                             .preempted = running.preempted,
                             .cancelled = job.stream().cancelled()});
  }
  const CacheUsage cache = deps_.engine->cache_usage();
  input.free_pages = cache.total_pages - cache.used_pages;
  input.page_size = std::max(cache.page_size, 1);
  input.now_s = deps_.clock->now_s();
  return input;
}

uint64_t Scheduler::last_admission_of(const std::string& tenant) const {
  const auto turn = last_admissions_.find(tenant);
  return turn == last_admissions_.end() ? 0 : turn->second;
}

void Scheduler::forget_turns() {
  std::erase_if(last_admissions_, [this](const auto& turn) {
    const auto is_tenants = [&](const Job& job) { return job.request().tenant == turn.first; };
    return std::none_of(waiting_.begin(), waiting_.end(), [&](const auto& job) { return is_tenants(*job); }) &&
           std::none_of(running_.begin(), running_.end(), [&](const Running& r) { return is_tenants(*r.job); });
  });
}

void Scheduler::drop(const StepDecision& decision) {
  const Error left(Code::kCancelled, "the client left");
  const Error late(Code::kDeadlineExceeded, "the request's deadline passed before its answer was complete");
  for (JobKey key : decision.cancelled) drop_job(key, left, true);
  for (JobKey key : decision.expired) drop_job(key, late, false);
}

void Scheduler::drop_job(JobKey key, const Error& error, bool client_left) {
  const auto end = [&](Job& job) {
    if (client_left) deps_.metrics->count_cancellation(job.request().api, phase_name(job.phase()));
    job.fail(error);
  };
  const auto waiting =
      std::find_if(waiting_.begin(), waiting_.end(), [key](const auto& job) { return key_of(*job) == key; });
  if (waiting != waiting_.end()) {
    end(**waiting);
    waiting_.erase(waiting);
    job_ended();
    return;
  }
  const auto running =
      std::find_if(running_.begin(), running_.end(), [key](const Running& r) { return key_of(*r.job) == key; });
  if (running == running_.end()) return;
  end(*running->job);
  remove_running(running->job->sequence());
}

void Scheduler::resume(const StepDecision& decision) {
  for (Running& running : running_) {
    if (std::find(decision.resume.begin(), decision.resume.end(), key_of(*running.job)) != decision.resume.end()) {
      running.preempted = false;
    }
  }
}

void Scheduler::admit(const StepDecision& decision) {
  for (JobKey key : decision.admit) {
    const auto found =
        std::find_if(waiting_.begin(), waiting_.end(), [key](const auto& job) { return key_of(*job) == key; });
    if (found == waiting_.end()) continue;
    std::unique_ptr<Job> job = std::move(*found);
    waiting_.erase(found);
    admit_job(std::move(job));
  }
}

void Scheduler::admit_job(std::unique_ptr<Job> job) {
  const double now_s = deps_.clock->now_s();
  const JobRequest& request = job->request();
  deps_.drain_rate->record(now_s);
  last_admissions_[request.tenant] = ++num_admitted_;
  try {
    job->on_admitted(deps_.engine->admit(request.prompt, request.sampling), now_s);
  } catch (const std::exception& error) {
    deps_.log_failure(request.request_id, concat("admit: ", error.what()));
    job->fail(Error(Code::kInternal, "the engine refused the request"));
    job_ended();
    return;
  }
  deps_.version_metrics->record_admission(now_s - job->queued_s(), request.prompt->num_tokens(),
                                          request.prompt->num_image_tokens());
  running_.push_back({std::move(job), false});
}

StepPlan Scheduler::plan_of(const StepDecision& decision) const {
  StepPlan plan;
  for (const StepDecision::Work& work : decision.work) {
    const auto running =
        std::find_if(running_.begin(), running_.end(), [&](const Running& r) { return key_of(*r.job) == work.key; });
    if (running != running_.end()) plan.items.push_back({running->job->sequence(), work.num_tokens});
  }
  return plan;
}

}  // namespace sf::server
