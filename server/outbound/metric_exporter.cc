#include "server/outbound/metric_exporter.h"

#include <chrono>
#include <cmath>
#include <tuple>

namespace sf::server {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kCumulative = 2;  // AggregationTemporality
// Error types that are counted apart: more than all codes of HTTP and gRPC that this server answers with.
constexpr size_t kMaxSeries = 128;

// The boundaries that the conventions recommend for each of the three.
const std::vector<double>& duration_bounds() {
  static const std::vector<double> bounds = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                             1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
  return bounds;
}

const std::vector<double>& first_token_bounds() {
  static const std::vector<double> bounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                             0.25,  0.5,   0.75, 1.0,  2.5,  5.0,  7.5,  10.0};
  return bounds;
}

const std::vector<double>& per_token_bounds() {
  static const std::vector<double> bounds = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5};
  return bounds;
}

std::string nanoseconds(double unix_s) { return std::to_string(std::llround(unix_s * 1e9)); }

}  // namespace

MetricExporter::MetricExporter(MetricExporterOptions options, Count count, UnixNow unix_now)
    : options_(std::move(options)),
      count_(std::move(count)),
      unix_now_(std::move(unix_now)),
      started_unix_s_(unix_now_()),
      connection_(parse_collector_url(options_.endpoint, "/v1/metrics"), options_.timeout_ms) {
  thread_ = std::thread([this] { run(); });
}

MetricExporter::~MetricExporter() { stop(); }

void MetricExporter::add(const RequestRecord& record) {
  if (record.api == "admin" || !record.reason.empty()) return;
  const Key key{gen_ai_operation(record.origin.route), is_success(record.code) ? "" : record.code};
  MutexLock lock(mutex_);
  observe(duration_, duration_bounds(), key, record.duration_s);
  if (record.summary == nullptr) return;
  const Timings& timings = record.summary->timings;
  observe(first_token_, first_token_bounds(), key, (timings.total_ms - timings.decode_ms) / 1e3);
  const int later_tokens = record.summary->usage.completion_tokens - 1;
  if (later_tokens > 0) observe(per_token_, per_token_bounds(), key, timings.decode_ms / 1e3 / later_tokens);
}

void MetricExporter::observe(Points& points, const std::vector<double>& edges, const Key& key, double seconds) {
  auto found = points.find(key);
  if (found == points.end()) {
    const Key known = points.size() < kMaxSeries ? key : Key{key.first, "_OTHER"};
    found = points.try_emplace(known, edges).first;
  }
  found->second.histogram.observe(seconds);
  ++found->second.count;
}

json MetricExporter::metric_json(const char* name, const char* description, const Points& points) const {
  json data_points = json::array();
  for (const auto& [key, point] : points) {
    json attributes = {attribute("gen_ai.operation.name", key.first),
                       attribute("gen_ai.provider.name", kGenAiProvider)};
    if (!options_.source.model.empty()) {
      attributes.push_back(attribute("gen_ai.request.model", options_.source.model));
      attributes.push_back(attribute("gen_ai.response.model", options_.source.model));
    }
    if (!key.second.empty()) attributes.push_back(attribute("error.type", key.second));
    json counts = json::array();
    for (const uint64_t count : point.histogram.counts()) counts.push_back(std::to_string(count));
    data_points.push_back({{"attributes", std::move(attributes)},
                           {"startTimeUnixNano", nanoseconds(started_unix_s_)},
                           {"timeUnixNano", nanoseconds(unix_now_())},
                           {"count", std::to_string(point.count)},
                           {"sum", point.histogram.sum()},
                           {"bucketCounts", std::move(counts)},
                           {"explicitBounds", point.histogram.edges()}});
  }
  const json histogram = {{"aggregationTemporality", kCumulative}, {"dataPoints", std::move(data_points)}};
  return {{"name", name}, {"description", description}, {"unit", "s"}, {"histogram", histogram}};
}

std::string MetricExporter::body() const {
  MutexLock lock(mutex_);
  const std::tuple<const char*, const char*, const Points*> instruments[] = {
      {"gen_ai.server.request.duration", "Generative AI server request duration", &duration_},
      {"gen_ai.server.time_to_first_token", "Time to generate first token for successful responses", &first_token_},
      {"gen_ai.server.time_per_output_token",
       "Time per output token generated after the first token for successful responses", &per_token_}};
  json metrics = json::array();
  for (const auto& [name, description, points] : instruments) {
    if (!points->empty()) metrics.push_back(metric_json(name, description, *points));
  }
  if (metrics.empty()) return "";
  const json scope_metrics = {{"scope", {{"name", "sparsefusion"}, {"version", options_.source.version}}},
                              {"metrics", std::move(metrics)}};
  const json body = {{"resourceMetrics", json::array({{{"resource", resource_json(options_.source)},
                                                       {"scopeMetrics", json::array({scope_metrics})}}})}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool MetricExporter::wait_for_interval() {
  const auto due = steady_clock::now() + milliseconds(options_.interval_ms);
  MutexLock lock(mutex_);
  while (!stopping_ && changed_.wait_until(mutex_, due)) continue;
  return !stopping_;
}

void MetricExporter::run() {
  bool goes_on = true;
  while (goes_on) {
    goes_on = wait_for_interval();
    const std::string request = body();
    if (!request.empty() && !is_given_up()) count_(connection_.post(request) ? "exported" : "dropped");
  }
  MutexLock lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void MetricExporter::stop() {
  if (!thread_.joinable()) return;
  const auto deadline = steady_clock::now() + milliseconds(options_.flush_timeout_ms);
  bool ended = false;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    while (!ended_ && changed_.wait_until(mutex_, deadline)) continue;
    ended = ended_;
  }
  if (!ended) {
    {
      MutexLock lock(mutex_);
      given_up_ = true;
    }
    connection_.abort();
  }
  thread_.join();
}

bool MetricExporter::is_given_up() const {
  MutexLock lock(mutex_);
  return given_up_;
}

}  // namespace sf::server
