// GET /metrics and GET /healthz of the training job, on threads of its own.
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
