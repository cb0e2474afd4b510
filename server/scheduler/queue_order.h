// Which of the waiting requests goes first, as a pure function.
//
//   std::vector<const WaitingView*> order = order_queue(candidates, running, options.planner);
//
// Within a priority the keys take turns: a job's rank is the number of sequences that its key already runs and of jobs
// that its key has before it in the queue. The lowest rank goes first; of equal ones that of the key whose last turn is
// longest ago, then the oldest. So a key that floods waits for itself: of the places that come free, keys that wait get
// equal shares. Without keys all requests have one, and the order is that of arrival.
//
// Between the priorities the interactive go first, except that a batch job yields only to those that come less than
// batch_patience_s after it. However many interactive jobs come, those that came before that moment are finite in
// number, and once they are through it is the batch job's turn: it yields, but never starves. Thread-safe.
#pragma once

#include <vector>

#include "server/scheduler/step_planner.h"

namespace sf::server {

// REQUIRES: `waiting` outlives the result.
std::vector<const WaitingView*> order_queue(const std::vector<const WaitingView*>& waiting,
                                            const std::vector<RunningView>& running, const PlannerOptions& options);

}  // namespace sf::server
