// A whole server over a fake engine, its calls, and whether this run is the long one.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/api_call.h"
#include "tests/support/fake_server.h"
#include "tests/support/process.h"
#include "tests/support/sanitizers.h"

namespace sf::server {

using test::wait_until;

// The long form takes minutes, and there times count; the quick one asserts only counts.
inline bool is_long() { return std::getenv("SF_LONG_TESTS") != nullptr; }

class EdgesFixture : public testing::Test {
 protected:
  // REQUIRES: options_ is set up before.
  void start(FakeEngineOptions engine = {}) {
    server_ = std::make_unique<FakeServer>(options_, std::move(engine));
    channel_ = connect_grpc(server_->ports());
  }
  FakeServer& server() { return *server_; }
  FakeEngine& engine() { return server_->engine(); }
  std::unique_ptr<ApiCall> begin(Api api, const Asked& asked) {
    return begin_call(api, server_->ports(), channel_, asked);
  }
  // Requests whose end was told to the service.
  double num_recorded() { return server_->metric("sparsefusion_requests_total"); }
  double num_in_flight() {
    return server_->metric("sparsefusion_requests_inflight") + server_->metric("sparsefusion_queue_depth");
  }

  ServerOptions options_;

 private:
  std::unique_ptr<FakeServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace sf::server
