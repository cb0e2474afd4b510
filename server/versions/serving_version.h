// One model version that can answer: its engine and the scheduler that feeds it. Made by the loader, held by
// model_slot and by every request that began on it, freed when the last of them is gone.
//
//   std::unique_ptr<ServingVersion> version = make_serving_version(7, std::move(engine), score, hold, deps);
//   if (std::optional<Ticket> ticket = version->scheduler().reserve(prompt_tokens)) use(*ticket);
//
// Immutable, but for what its members do: the engine belongs to the version's scheduler thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "server/scheduler/scheduler_thread.h"

namespace sf::server {

struct ServingVersion {
  int64_t version = 0;
  std::optional<double> score;  // of the manifest
  std::string evaluation_id;    // what it was measured on
  // Members go in reverse: the thread first, then the engine, then the mark that keeps the files in the store.
  std::shared_ptr<const void> hold;
  std::shared_ptr<VersionMetrics> metrics;
  std::shared_ptr<Engine> engine;
  std::unique_ptr<SchedulerThread> thread;

  Scheduler& scheduler() { return thread->scheduler(); }
  const Scheduler& scheduler() const { return thread->scheduler(); }
};
using ServingVersionPtr = std::shared_ptr<ServingVersion>;

// What every version's scheduler shares. REQUIRES: what it points to outlives every version.
struct ServingDeps {
  SchedulerOptions scheduler;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  DrainRate* drain_rate = nullptr;
  std::function<void(const std::string& request_id, const std::string& what)> log_failure;
};

// Effect: starts the version's scheduler thread; no request reaches it before it is published.
std::unique_ptr<ServingVersion> make_serving_version(int64_t version, std::unique_ptr<Engine> engine,
                                                     std::optional<double> score, std::shared_ptr<const void> hold,
                                                     const ServingDeps& deps);

}  // namespace sf::server
