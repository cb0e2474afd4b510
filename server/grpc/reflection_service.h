// Server reflection, v1 and v1alpha, of every service that this port has: what grpcurl and its like ask first. The two
// versions differ in their name alone.
//
//   ReflectionService reflection({"grpc.health.v1.Health", ...}, 60);
//   reflection.register_methods(router);
//
// Thread-safe. A client gets the next answer when it has taken the last one, and an idle call ends after `idle_s`.
#pragma once

#include <string>
#include <vector>

#include "server/grpc/call_router.h"

namespace sf::server {

class ReflectionService {
 public:
  // `names`: the services that it lists beside itself.
  ReflectionService(std::vector<std::string> names, double idle_s);
  // REQUIRES: this outlives the calls.
  void register_methods(CallRouter& router);

 private:
  class Handler;

  std::vector<std::string> names_;
  const double idle_s_;
};

}  // namespace sf::server
