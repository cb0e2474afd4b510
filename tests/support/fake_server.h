// The whole server as it ships (every frontend, service, scheduler, metrics) over a FakeEngine, on free ports of this
// process.
//
//   FakeServer server({.max_batch = 4}, {.step_seconds = 0.01});
//   server.engine().hold_steps();
//   server.metric("sparsefusion_requests_inflight");      // the sum of the series that begin so
//
// One thread only, but for ports() and engine().
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "server/app/server_app.h"
#include "tests/support/fake_engine.h"

namespace sf::server {

class FakeServer {
 public:
  // Ports, model and poll interval of `options` are set here.
  FakeServer(ServerOptions options, FakeEngineOptions engine);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  FakeEngine& engine() { return *engine_; }
  ServerApp& app() { return *app_; }
  BoundPorts ports() const { return app_->ports(); }
  double metric(const std::string& prefix);

 private:
  std::filesystem::path folder_;
  FakeEngine* engine_ = nullptr;
  std::unique_ptr<ServerApp> app_;
};

// Of this process.
int count_threads();
int count_open_files();
double resident_mib();

}  // namespace sf::server
