#include "server/grpc/health_mirror.h"

namespace sf::server {

HealthMirror::HealthMirror(grpc::HealthCheckServiceInterface& health, const Service& service,
                           std::vector<std::string> names, int interval_ms)
    : health_(health), service_(service), names_(std::move(names)), interval_ms_(interval_ms) {
  {
    MutexLock lock(mutex_);
    publish(service_.health().ready);
  }
  thread_ = std::thread([this] { run(); });
}

HealthMirror::~HealthMirror() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void HealthMirror::drain() {
  MutexLock lock(mutex_);
  draining_ = true;
  publish(false);
}

void HealthMirror::run() {
  MutexLock lock(mutex_);
  while (!stopped_) {
    publish(!draining_ && service_.health().ready);
    wake_.wait_for(mutex_, std::chrono::milliseconds(interval_ms_));
  }
}

// Watchers hear of changes only: gRPC would send them an equal status again.
void HealthMirror::publish(bool serving) {
  if (published_ == serving) return;
  published_ = serving;
  health_.SetServingStatus("", serving);
  for (const std::string& name : names_) health_.SetServingStatus(name, serving);
}

}  // namespace sf::server
