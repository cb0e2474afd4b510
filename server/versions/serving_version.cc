#include "server/versions/serving_version.h"

#include <utility>

namespace sf::server {

std::unique_ptr<ServingVersion> make_serving_version(int64_t version, std::unique_ptr<Engine> engine,
                                                     std::optional<double> score, std::shared_ptr<const void> hold,
                                                     const ServingDeps& deps) {
  auto serving = std::make_unique<ServingVersion>();
  serving->version = version;
  serving->score = score;
  serving->hold = std::move(hold);
  serving->engine = std::move(engine);
  serving->metrics = deps.metrics->add_version(version, serving->engine->info());
  SchedulerDeps scheduler;
  scheduler.engine = serving->engine;
  scheduler.clock = deps.clock;
  scheduler.metrics = deps.metrics;
  scheduler.version_metrics = serving->metrics;
  scheduler.drain_rate = deps.drain_rate;
  scheduler.log_failure = deps.log_failure;
  serving->thread =
      std::make_unique<SchedulerThread>(std::make_unique<Scheduler>(std::move(scheduler), deps.scheduler));
  return serving;
}

}  // namespace sf::server
