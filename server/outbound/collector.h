// The way to one OTLP/HTTP collector: where it is, and POSTs of JSON to it.
// https://opentelemetry.io/docs/specs/otlp/#otlphttp
//
//   CollectorConnection connection(parse_collector_url("http://127.0.0.1:4318", "/v1/traces"), 3000);
//   const bool sent = connection.post(body);
//
// One thread at a time, except that a post() may be ended from any thread.
#pragma once

#include <memory>
#include <string>

namespace sf::server {

struct CollectorUrl {
  std::string origin;  // scheme://host:port
  std::string path;
};

// http[s]://host[:port][/path]; without a path `default_path` is asked. `flag`: where the URL came from. Thread-safe.
// Errors: InvalidArgument, field `flag`.
CollectorUrl parse_collector_url(const std::string& url, const std::string& default_path = "/v1/traces",
                                 const std::string& flag = "otlp-endpoint");

// Where metrics go, given --otlp-endpoint and --otlp-metrics-endpoint: where the latter says ("none" = nowhere), else
// beside the traces, at /v1/metrics. Empty = nowhere: also where the traces have a path that is not OTLP's, which says
// nothing of the metrics. Errors: those of parse_collector_url.
std::string metrics_endpoint(const std::string& traces, const std::string& metrics);

class CollectorConnection {
 public:
  // `timeout_ms`: of one POST. Errors: InvalidArgument for an origin that the client cannot use.
  CollectorConnection(CollectorUrl url, int timeout_ms);
  ~CollectorConnection();

  // Whether the collector took it. Blocks for at most the timeout. One thread at a time.
  bool post(const std::string& json);
  // Any thread. Effect: a post() under way returns soon, with false.
  void abort();

 private:
  struct Client;
  const CollectorUrl url_;
  const std::unique_ptr<Client> client_;
};

}  // namespace sf::server
