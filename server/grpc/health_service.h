// grpc.health.v1: what the service says of itself, for the whole server and for each of its services. Answered on
// gRPC's own threads, so that neither busy workers nor open calls stand in the way.
//
//   HealthService health(service, {"inference.GRPCInferenceService"}, 100);
//   health.register_methods(router);
//   health.drain();                      // NOT_SERVING from now on
//
// Thread-safe.
#pragma once

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "server/grpc/call_router.h"

namespace sf::server {

class HealthService {
 public:
  // Mirrors `service` into "" and into each of `names`, every `interval_ms`. REQUIRES: `service` outlives this.
  HealthService(const server::Service& service, std::vector<std::string> names, int interval_ms);
  ~HealthService();

  // REQUIRES: this outlives the calls.
  void register_methods(CallRouter& router);
  // Effect: NOT_SERVING from now on, before this returns.
  void drain();

 private:
  class Check;
  class Watch;

  bool knows(const std::string& name) const;
  bool is_serving() const;
  void run();
  void publish(bool serving) SF_REQUIRES(mutex_);

  const server::Service& service_;
  const std::set<std::string> names_;
  const int interval_ms_;
  mutable Mutex mutex_;
  CondVar wake_;
  bool serving_ SF_GUARDED_BY(mutex_) = false;
  bool draining_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::set<Watch*> watches_ SF_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace sf::server
