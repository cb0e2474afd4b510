#include "server/scheduler/step_planner.h"

#include <algorithm>

#include "server/scheduler/queue_order.h"

namespace sf::server {
namespace {

// What is left of one step while it is being planned.
class StepBudget {
 public:
  StepBudget(const PlannerInput& input, const PlannerOptions& options)
      : tokens_(options.max_step_tokens),
        sequences_(options.max_batch),
        pages_(input.free_pages),
        page_size_(input.page_size) {}

  bool has_sequence() const { return sequences_ > 0; }
  bool has_token() const { return tokens_ > 0; }
  // Pages of its tokens and of the first new one, beside one page for each sequence that runs.
  bool fits(int num_tokens) const { return running_ == 0 || pages_for(num_tokens) + running_ <= pages_; }

  void take_sequence() {
    --sequences_;
    ++running_;
  }
  void take_pages(int num_tokens) { pages_ -= pages_for(num_tokens); }
  int take_tokens(int wanted) {
    const int given = std::min(wanted, tokens_);
    tokens_ -= given;
    return given;
  }

 private:
  int pages_for(int num_tokens) const { return (num_tokens + 1 + page_size_ - 1) / page_size_; }

  int tokens_, sequences_, pages_, page_size_;
  int running_ = 0;
};

template <typename View>
bool drop_if_over(const View& job, double now_s, StepDecision& decision) {
  if (job.cancelled) {
    decision.cancelled.push_back(job.key);
  } else if (now_s >= job.deadline_s) {
    decision.expired.push_back(job.key);
  } else {
    return false;
  }
  return true;
}

}  // namespace

StepDecision plan_step(const PlannerInput& input, const PlannerOptions& options) {
  StepDecision decision;
  StepBudget budget(input, options);
  std::vector<const RunningView*> prompts, preempted;
  for (const RunningView& job : input.running) {
    if (drop_if_over(job, input.now_s, decision)) continue;
    if (job.preempted) {
      preempted.push_back(&job);
      continue;
    }
    budget.take_sequence();
    if (job.tokens_to_compute > 1) {
      prompts.push_back(&job);
      budget.take_pages(job.tokens_to_compute);  // promised when it was admitted, perhaps not yet taken
    } else if (budget.has_token()) {
      decision.work.push_back({job.key, budget.take_tokens(1)});
    }
  }
  for (const RunningView* job : prompts) {
    if (!budget.has_token()) break;
    decision.work.push_back({job->key, budget.take_tokens(job->tokens_to_compute)});
  }

  // What was preempted comes back before anything new: a newcomer would take the pages it waits for.
  bool all_resumed = true;
  for (const RunningView* job : preempted) {
    all_resumed = budget.has_sequence() && budget.has_token() && budget.fits(job->tokens_to_compute);
    if (!all_resumed) break;
    decision.resume.push_back(job->key);
    budget.take_pages(job->tokens_to_compute);
    budget.take_sequence();
    decision.work.push_back({job->key, budget.take_tokens(job->tokens_to_compute)});
  }

  std::vector<const WaitingView*> waiting;
  for (const WaitingView& job : input.waiting) {
    if (!drop_if_over(job, input.now_s, decision)) waiting.push_back(&job);
  }
  if (!all_resumed || !budget.has_sequence()) return decision;
  for (const WaitingView* job : order_queue(waiting, input.running, options)) {
    if (!budget.has_sequence() || !budget.has_token() || !budget.fits(job->prompt_tokens + job->more_tokens)) break;
    decision.admit.push_back(job->key);
    budget.take_pages(job->prompt_tokens + job->more_tokens);
    budget.take_sequence();
    decision.work.push_back({job->key, budget.take_tokens(job->prompt_tokens)});
  }
  return decision;
}

}  // namespace sf::server
