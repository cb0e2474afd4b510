// The gRPC frontend on port 8001: sparsefusion.v1.VisualQuestionAnswering and ModelAdmin,
// inference.GRPCInferenceService (KServe v2), grpc.health.v1 (Check and Watch) and reflection (v1 and v1alpha).
// No gRPC or protobuf header is seen through this file.
//
//   GrpcServer grpc({.host = "127.0.0.1", .port = 0}, service);
//   grpc.start();
//   grpc.drain();     // health says NOT_SERVING at once; calls in flight go on
//   grpc.stop();      // cancels what still runs
//
// Thread-safe, except that start() and stop() belong to one thread.
#pragma once

#include <memory>
#include <string>

#include "server/auth/api_keys.h"
#include "server/auth/server_certificate.h"
#include "server/kserve/infer_statistics.h"
#include "server/service/service.h"
#include "server/wire/limits.h"

namespace sf::server {

struct GrpcOptions {
  std::string host = "127.0.0.1";
  int port = 8001;  // 0 = any free one
  RequestLimits limits = {};
  int max_concurrent_streams = 100;  // of one connection
  int max_open_calls = 4096;         // of all connections; questions after the server's health are counted apart
  int max_open_calls_per_peer = 2048;
  int max_metadata_bytes = 8 << 10;
  size_t max_memory_bytes = 512u << 20;   // of gRPC's own buffers
  size_t max_backlog_bytes = 1 << 20;     // of answers that wait until one call's client reads
  size_t max_pending_bytes = 256u << 20;  // of answers that wait until any client reads
  double read_timeout_s = 60;             // for a call's message to come whole
  double write_stall_s = 30;              // for a message of ours to be taken by the client
  double reflection_idle_s = 60;          // without a question, a reflection call ends
  double infer_stream_idle_s = 300;       // without a request, a ModelStreamInfer call ends
  int min_ping_interval_ms = 5000;        // a connection that pings oftener is sent away
  int poll_interval_ms = 20;              // how often a waiting call looks whether its client is still there
  int health_interval_ms = 100;           // how stale the health service may be
  int max_infer_streams = 1024;           // ModelStreamInfer calls at once
  int max_stream_requests = 64;           // in flight on one of them; more are not read before one ends
  std::string program_version = "0";      // what ServerMetadata says
  // One for all frontends that speak the Open Inference Protocol.
  std::shared_ptr<InferStatistics> infer_statistics = std::make_shared<InferStatistics>();
  KeyRing* keys = nullptr;  // null: no key is needed. Else all but health does. Outlives the server
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
