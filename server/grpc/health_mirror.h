// Keeps grpc.health.v1 at what the service says: the health service of gRPC answers Check and Watch, this thread tells
// it the truth.
#pragma once

#include <grpcpp/health_check_service_interface.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "server/service/service.h"

namespace sf::server {

class HealthMirror {
 public:
  // Mirrors into "" and into each of `names`. REQUIRES: both references outlive this.
  HealthMirror(grpc::HealthCheckServiceInterface& health, const Service& service, std::vector<std::string> names,
               int interval_ms);
  ~HealthMirror();

  // Effect: NOT_SERVING from now on, before this returns.
  void drain();

 private:
  void run();
  void publish(bool serving) SF_REQUIRES(mutex_);

  grpc::HealthCheckServiceInterface& health_;
  const Service& service_;
  const std::vector<std::string> names_;
  const int interval_ms_;
  Mutex mutex_;
  CondVar wake_;
  std::optional<bool> published_ SF_GUARDED_BY(mutex_);
  bool draining_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
