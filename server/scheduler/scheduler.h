// One model version's engine, fed step by step: requests join and leave between steps. The decision is step_planner's;
// this class carries it out and delivers what came of it.
//
//   Scheduler scheduler({.engine = engine, .clock = &clock, ...}, {});
//   if (std::optional<Ticket> ticket = scheduler.reserve(prompt_tokens)) {
//     scheduler.submit(std::make_unique<Job>(std::move(request), *engine, stream, std::move(*ticket), version));
//   }
//   while (scheduler.wait_for_work()) scheduler.step_once();        // scheduler_thread.h, or a test by hand
//
// What happens to a job: it ends (stop token, stop string, length), its client leaves, its deadline passes, the engine
// fails it, or the server goes down; in every case its stream gets exactly one terminal event and the engine forgets
// it. Thread-safe, but for wait_for_work(), step_once() and fail_all(): one thread only.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/metrics/metrics.h"
#include "server/scheduler/admission_queue.h"
#include "server/scheduler/clock.h"
#include "server/scheduler/drain_rate.h"
#include "server/scheduler/job.h"
#include "server/scheduler/step_planner.h"

namespace sf::server {

struct SchedulerOptions {
  PlannerOptions planner = {};
  QueueLimits queue = {};
};

struct SchedulerDeps {
  std::shared_ptr<Engine> engine;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  std::shared_ptr<VersionMetrics> version_metrics;
  DrainRate* drain_rate = nullptr;
  // What went wrong inside, for the log: clients see only that the server failed. Any thread.
  std::function<void(const std::string& request_id, const std::string& what)> log_failure;
};

class Scheduler {
 public:
  // REQUIRES: what `deps` points to outlives this; max_step_tokens >= max_batch >= 1.
  Scheduler(SchedulerDeps deps, SchedulerOptions options);
  ~Scheduler();

  // --- any thread ---
  std::optional<Ticket> reserve(int tokens, const std::string& tenant = "") { return queue_.reserve(tokens, tenant); }
  void submit(std::unique_ptr<Job> job);
  QueueLoad queue_load() const { return queue_.load(); }
  int num_running() const { return num_running_.load(std::memory_order_relaxed); }
  // From the reservation to the last event.
  bool has_requests() const { return num_jobs_.load(std::memory_order_relaxed) > 0 || queue_.load().requests > 0; }
  // Seconds since the last step, or since work arrived; 0 without work. It grows while the engine is stalled.
  double last_step_age_s() const;
  // Effect: every job fails with Unavailable at the next step; what comes later too.
  void abort();
  // Effect: wait_for_work() says false from now on.
  void stop() { queue_.stop(); }

  // --- one thread ---
  // Blocks while there is nothing to do; false once stopped.
  bool wait_for_work();
  // Effect: at most one engine step. Never throws.
  void step_once();
  // Effect: ends every job with Unavailable. For after the last step.
  void fail_all();

 private:
  struct Running {
    std::unique_ptr<Job> job;
    bool preempted = false;
  };

  void plan_and_run();
  PlannerInput planner_input() const;
  uint64_t last_admission_of(const std::string& tenant) const;
  // Effect: forgets the turns of tenants that have nothing here any more.
  void forget_turns();
  // --- carrying out the decision, scheduler.cc ---
  void drop(const StepDecision& decision);
  void drop_job(JobKey key, const Error& error, bool client_left);
  void resume(const StepDecision& decision);
  void admit(const StepDecision& decision);
  void admit_job(std::unique_ptr<Job> job);
  StepPlan plan_of(const StepDecision& decision) const;
  // --- one engine step and what came of it, scheduler_delivery.cc ---
  void run_step(const StepPlan& plan);
  void deliver(const StepResult& result, double now_s, StepSample& sample);
  // True if the sequence ended.
  bool deliver_token(Job& job, const SequenceStepResult& result, size_t token, double now_s, StepSample& sample);
  void deliver_chosen(Job& job, const ChosenAnswer& chosen, double now_s, StepSample& sample);
  // Effect: preempts the youngest sequence; if it is the only one, it can never fit and fails.
  void make_room();
  void fail_running(SequenceId id, Error error, const std::string& what);
  // Effect: the engine forgets the sequence, and so does this.
  void remove_running(SequenceId id);

  Running* find_running(SequenceId id);
  static JobKey key_of(const Job& job) { return reinterpret_cast<JobKey>(&job); }
  void job_ended() { num_jobs_.fetch_sub(1, std::memory_order_relaxed); }

  const SchedulerDeps deps_;
  const SchedulerOptions options_;
  AdmissionQueue queue_;
  std::vector<std::unique_ptr<Job>> waiting_;  // in order of arrival
  std::vector<Running> running_;               // in order of admission
  uint64_t num_admitted_ = 0;
  std::map<std::string, uint64_t>
      last_admissions_;  // of each tenant that has a job here, the number of its last admission
  std::atomic<int> num_running_{0};
  std::atomic<int> num_jobs_{0};  // submitted and not ended
  std::atomic<double> last_progress_s_{0};
  std::atomic<bool> aborted_{false};
};

}  // namespace sf::server
