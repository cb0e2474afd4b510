// The scheduler's decision as a pure function: which sequences leave, which join and which compute how many tokens in
// the next step.
//
//   PlannerInput input{.waiting = waiting, .running = running, .free_pages = 40, .page_size = 16, .now_s = now_s};
//   StepDecision decision = plan_step(input, {.max_batch = 8});
//
// Order within a step: every decoding sequence gets its token, then prompts under way get what is left of the token
// budget in the order in which they began, then preempted ones come back, then the queue in the order of
// queue_order.h. So decoding never waits for more than one step of max_step_tokens, and whatever was admitted is
// finished before anything new begins. Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sf::server {

// Of a request that waits: what goes first (queue_order.h).
enum class Priority { kInteractive, kBatch };

struct PlannerOptions {
  int max_batch = 32;         // sequences in a step
  int max_step_tokens = 512;  // tokens computed in a step; decoding comes first
  // A batch request yields to the interactive ones that come at most this long after it, and so never starves.
  double batch_patience_s = 5;
};

using JobKey = uint64_t;

struct WaitingView {
  JobKey key = 0;
  Priority priority = Priority::kInteractive;
  std::string_view tenant = {};  // the API key's name; empty for all without keys
  uint64_t last_admission = 0;   // the number of the tenant's last admission; 0 where none was
  double queued_s = 0;
  double deadline_s = 0;
  int prompt_tokens = 0;
  int more_tokens = 0;  // that it will need pages for before its answer is known, beyond the prompt
  bool cancelled = false;
};

struct RunningView {
  JobKey key = 0;
  std::string_view tenant = {};
  double deadline_s = 0;
  int tokens_to_compute = 1;  // 1 while decoding
  bool preempted = false;     // preempted: holds no pages
  bool cancelled = false;
};

struct PlannerInput {
  std::vector<WaitingView> waiting;  // in order of arrival
  std::vector<RunningView> running;  // in order of admission
  int free_pages = 0;                // free or evictable
  int page_size = 16;
  double now_s = 0;
};

struct StepDecision {
  struct Work {
    JobKey key;
    int num_tokens;
  };
  std::vector<JobKey> cancelled;  // waiting or running: drop and release
  std::vector<JobKey> expired;    // past their deadline
  std::vector<JobKey> resume;     // of `running`: no longer preempted
  std::vector<JobKey> admit;      // of `waiting`, in this order
  std::vector<Work> work;         // includes the resumed and the admitted
};

// A sequence is admitted only if its pages fit beside one page for each sequence that runs (each may need its next page
// in any step); the first one is always admitted, so that the engine can say that it will never fit.
StepDecision plan_step(const PlannerInput& input, const PlannerOptions& options);

}  // namespace sf::server
