// The gRPC front on port 8001: sparsefusion.v1.VisualQuestionAnswering and ModelAdmin,
// inference.GRPCInferenceService (KServe v2), grpc.health.v1 (Check and Watch),
// and reflection where no keys are asked for.
// No gRPC or protobuf header is seen through this file.
//
//   GrpcServer grpc({.host = "127.0.0.1", .port = 0}, service);
//   grpc.start();
//   grpc.drain();     // health says NOT_SERVING at once; calls in flight go on
//   grpc.stop();      // cancels what still runs
#pragma once

#include <memory>
#include <string>

#include "server/guard/api_keys.h"
#include "server/guard/limits.h"
#include "server/guard/server_certificate.h"
#include "server/kserve/infer_statistics.h"
#include "server/service/service.h"

namespace sf::server {

struct GrpcOptions {
  std::string host = "127.0.0.1";
  int port = 8001;  // 0 = any free one
  RequestLimits limits = {};
  int max_concurrent_streams = 100;  // of one connection
  int max_metadata_bytes = 8 << 10;
  size_t max_memory_bytes = 512u << 20;  // of gRPC's own buffers
  int poll_interval_ms = 20;             // how often a waiting call looks whether its client is still there
  int health_interval_ms = 100;          // how stale the health service may be
  int max_infer_streams = 64;            // ModelStreamInfer calls at once: each holds a thread even when it is idle
  int max_stream_requests = 64;          // in flight on one of them; more are not read before one ends
  std::string program_version = "0";     // what ServerMetadata says
  // One for all fronts that speak the Open Inference Protocol.
  std::shared_ptr<InferStatistics> infer_statistics = std::make_shared<InferStatistics>();
  KeyRing* keys = nullptr;  // null: nobody needs a key. Else all but health does. Outlives the server
  std::shared_ptr<const ServerCertificate> certificate = {};  // null: no TLS
};

class GrpcServer {
 public:
  // REQUIRES: `service` outlives this.
  GrpcServer(GrpcOptions options, Service& service);
  ~GrpcServer();  // stop()

  // Errors: Unavailable, naming host and port, if it cannot bind.
  void start();
  int port() const;  // 0 before start()
  void drain();
  void stop();  // idempotent

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sf::server
