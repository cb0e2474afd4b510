#include "server/scheduler/queue_order.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace sf::server {
namespace {

using Jobs = std::vector<const WaitingView*>;
using Counts = std::map<std::string_view, int>;  // by tenant

// Sorted by rank, then by the tenants' last turns, then by age. `held`: sequences that each tenant runs.
Jobs take_turns(Jobs jobs, const Counts& held) {
  std::stable_sort(jobs.begin(), jobs.end(), [](const auto* a, const auto* b) { return a->queued_s < b->queued_s; });
  Counts ahead = held;
  std::vector<std::pair<int, const WaitingView*>> ranked;
  for (const WaitingView* job : jobs) ranked.emplace_back(ahead[job->tenant]++, job);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second->last_admission) < std::pair(b.first, b.second->last_admission);
  });
  std::transform(ranked.begin(), ranked.end(), jobs.begin(), [](const auto& pair) { return pair.second; });
  return jobs;
}

}  // namespace

Jobs order_queue(const Jobs& waiting, const std::vector<RunningView>& running, const PlannerOptions& options) {
  Counts held;
  for (const RunningView& job : running) ++held[job.tenant];
  Jobs interactive, batch;
  for (const WaitingView* job : waiting) {
    (job->priority == Priority::kBatch ? batch : interactive).push_back(job);
  }
  interactive = take_turns(std::move(interactive), held);
  batch = take_turns(std::move(batch), held);

  Jobs order;
  order.reserve(waiting.size());
  auto patient = batch.begin();
  for (const WaitingView* job : interactive) {
    while (patient != batch.end() && (*patient)->queued_s + options.batch_patience_s <= job->queued_s) {
      order.push_back(*patient++);
    }
    order.push_back(job);
  }
  order.insert(order.end(), patient, batch.end());
  return order;
}

}  // namespace sf::server
