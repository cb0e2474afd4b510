// Sends OpenTelemetry's metrics of a generative AI server to an OTLP/HTTP collector, from a thread of its own:
// gen_ai.server.request.duration, gen_ai.server.time_to_first_token, gen_ai.server.time_per_output_token.
// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
//
//   MetricExporter exporter({.endpoint = "http://127.0.0.1:4318", .source = {"sparsefusion-server", "0.1.0"}},
//                           [](const char* result) { ... }, unix_now);
//   exporter.add(record);    // from any thread; adds to a histogram, never waits for the collector
//   exporter.stop();         // what was counted is sent once more, for at most a second
//
// Sums are cumulative since the start, so a POST that a collector missed loses nothing but its moment.
// Thread-safe, except that stop() belongs to the owner's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/mutex.h"
#include "server/metrics/histogram.h"
#include "server/outbound/collector.h"
#include "server/outbound/otlp_json.h"
#include "server/service/request_log.h"

namespace sf::server {

struct MetricExporterOptions {
  std::string endpoint;  // http[s]://host[:port][/path]; without a path /v1/metrics is asked
  OtlpSource source;
  int interval_ms = 15'000;     // between two POSTs; nothing is sent before the first request
  int timeout_ms = 3000;        // of one POST
  int flush_timeout_ms = 1000;  // of stop()
};

class MetricExporter {
 public:
  // Called with "exported" or "dropped" for each POST, on any thread.
  using Count = std::function<void(const char* result)>;
  using UnixNow = std::function<double()>;  // seconds

  // Errors: those of parse_collector_url.
  MetricExporter(MetricExporterOptions options, Count count, UnixNow unix_now);
  ~MetricExporter();  // stop()

  // Effect: takes a request that an engine saw: admin commands and refused ones are no work of a model.
  void add(const RequestRecord& record);
  // Effect: sends the final state, for at most flush_timeout_ms, joins the thread. Idempotent.
  void stop();

 private:
  // One series: gen_ai.operation.name and error.type (empty without an error).
  using Key = std::pair<std::string, std::string>;
  struct Point {
    explicit Point(const std::vector<double>& edges) : histogram(edges) {}
    Histogram histogram;
    uint64_t count = 0;
  };
  using Points = std::map<Key, Point>;

  void run();
  // False once the exporter stops.
  bool wait_for_interval();
  bool is_given_up() const;
  void observe(Points& points, const std::vector<double>& edges, const Key& key, double seconds) SF_REQUIRES(mutex_);
  nlohmann::json metric_json(const char* name, const char* description, const Points& points) const SF_REQUIRES(mutex_);
  // The export request; empty while nothing was counted.
  std::string body() const;

  const MetricExporterOptions options_;
  const Count count_;
  const UnixNow unix_now_;
  const double started_unix_s_;
  CollectorConnection connection_;  // abort() from the owner's thread, post() from thread_
  mutable Mutex mutex_;
  CondVar changed_;
  Points duration_ SF_GUARDED_BY(mutex_), first_token_ SF_GUARDED_BY(mutex_), per_token_ SF_GUARDED_BY(mutex_);
  bool stopping_ SF_GUARDED_BY(mutex_) = false;
  bool given_up_ SF_GUARDED_BY(mutex_) = false;  // the time for the last POST is over
  bool ended_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
