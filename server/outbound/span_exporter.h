// Sends the spans of finished requests to an OTLP/HTTP collector, in batches, from a thread of its own.
//
//   SpanExporter exporter({.endpoint = "http://127.0.0.1:4318", .source = {"sparsefusion-server", "0.1.0"}}, count);
//   exporter.add(record);    // from any thread; never waits for the collector
//   exporter.stop();         // what waits is sent, for at most a second
//
// A collector that is down, slow or refuses costs spans, never requests: each batch is tried once, and what it held is
// counted as dropped, as is what finds the queue full.
// Thread-safe, except that stop() belongs to the owner's thread.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "server/outbound/collector.h"
#include "server/outbound/request_spans.h"
#include "server/service/request_log.h"

namespace sf::server {

struct SpanExporterOptions {
  std::string endpoint;     // http[s]://host[:port][/path]; without a path /v1/traces is asked
  double sample_ratio = 1;  // of the requests that came without a trace
  OtlpSource source;
  size_t max_queue = 2048;      // requests that wait
  size_t max_batch = 256;       // requests in one POST
  int interval_ms = 1000;       // how long an incomplete batch waits
  int timeout_ms = 3000;        // of one POST
  int flush_timeout_ms = 1000;  // of stop()
};

class SpanExporter final : public TraceSink {
 public:
  // Called for spans that were sent ("exported") or lost ("dropped"), on any thread.
  using Count = std::function<void(const char* result, size_t spans)>;

  // Errors: those of parse_collector_url.
  SpanExporter(SpanExporterOptions options, Count count);
  ~SpanExporter() override;  // stop()

  TraceContext begin() override;
  void add(const RequestRecord& record) override;
  // Effect: sends what waits, for at most flush_timeout_ms, drops the rest, joins the thread. Idempotent.
  void stop();

 private:
  void run();
  // The next batch: full, or what came within an interval. Empty only once the exporter stops and nothing is left.
  std::vector<RequestSpans> take_batch();
  void drop_all();

  const SpanExporterOptions options_;
  const Count count_;
  CollectorConnection connection_;  // abort() from the owner's thread, post() from thread_
  Mutex mutex_;
  CondVar changed_;
  std::deque<RequestSpans> queue_ SF_GUARDED_BY(mutex_);
  bool stopping_ SF_GUARDED_BY(mutex_) = false;
  bool ended_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
