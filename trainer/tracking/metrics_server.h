// GET /metrics and GET /healthz of the training job, on threads of its own.
//
//   MetricsServer server("127.0.0.1", 9464, [&] { return metrics.text(); });
//
// One thread at a time. `text` is called on the server's threads, so it has to be thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace sf {

class MetricsServer {
 public:
  // Effect: listens at once. `port` 0 = any free one. Errors: Unavailable where the address cannot be bound.
  MetricsServer(const std::string& host, int port, std::function<std::string()> text);
  ~MetricsServer();
  int port() const { return port_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int port_ = 0;
};

}  // namespace sf
