#include "server/outbound/span_exporter.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "server/guard/request_id.h"

namespace sf::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kDefaultPath = "/v1/traces";
constexpr int kConnectTimeoutMs = 500;

Error bad_endpoint() {
  return invalid_argument("otlp-endpoint", "otlp-endpoint: must be http://HOST[:PORT][/PATH] or https://...");
}

}  // namespace

CollectorUrl parse_collector_url(const std::string& url) {
  const size_t scheme = url.starts_with("http://") ? 7 : url.starts_with("https://") ? 8 : 0;
  if (scheme == 0 || url.find_first_of(" \t\r\n?#@") != std::string::npos) throw bad_endpoint();
  const size_t slash = url.find('/', scheme);
  const std::string path = slash == std::string::npos ? "" : url.substr(slash);
  const CollectorUrl parts{url.substr(0, slash), path.empty() || path == "/" ? kDefaultPath : path};
  if (parts.origin.size() == scheme || parts.origin[scheme] == ':') throw bad_endpoint();
  return parts;
}

// The client of one collector. post() belongs to the exporter's thread, abort() to any.
class SpanExporter::Connection {
 public:
  explicit Connection(const SpanExporterOptions& options)
      : url_(parse_collector_url(options.endpoint)), client_(url_.origin) {
    if (!client_.is_valid()) throw bad_endpoint();
    client_.set_connection_timeout(milliseconds(std::min(options.timeout_ms, kConnectTimeoutMs)));
    client_.set_read_timeout(milliseconds(options.timeout_ms));
    client_.set_write_timeout(milliseconds(options.timeout_ms));
    client_.set_max_timeout(milliseconds(options.timeout_ms));
    client_.set_follow_location(false);
    client_.set_payload_max_length(1 << 20);
    client_.set_keep_alive(true);
  }

  bool post(const std::string& body) {
    const httplib::Result result = client_.Post(url_.path, body, "application/json");
    return result && result->status / 100 == 2;
  }
  void abort() { client_.stop(); }

 private:
  const CollectorUrl url_;
  httplib::Client client_;
};

SpanExporter::SpanExporter(SpanExporterOptions options, Count count)
    : options_(std::move(options)), count_(std::move(count)), connection_(std::make_unique<Connection>(options_)) {
  thread_ = std::thread([this] { run(); });
}

SpanExporter::~SpanExporter() { stop(); }

TraceContext SpanExporter::begin() {
  constexpr double kTwoTo64 = 18446744073709551616.0;
  return begin_trace(static_cast<double>(random_seed()) < options_.sample_ratio * kTwoTo64);
}

void SpanExporter::add(const RequestRecord& record) {
  if (!record.trace.is_set() || !record.trace.sampled) return;
  RequestSpans spans = request_spans(record);
  const size_t num_spans = spans.num_spans();
  {
    MutexLock lock(mutex_);
    if (!stopping_ && queue_.size() < options_.max_queue) {
      queue_.push_back(std::move(spans));
      if (queue_.size() == 1 || queue_.size() >= options_.max_batch) changed_.notify_all();
      return;
    }
  }
  count_("dropped", num_spans);
}

void SpanExporter::stop() {
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
    drop_all();
    connection_->abort();
  }
  thread_.join();
}

void SpanExporter::drop_all() {
  size_t dropped = 0;
  {
    MutexLock lock(mutex_);
    for (const RequestSpans& request : queue_) dropped += request.num_spans();
    queue_.clear();
  }
  if (dropped > 0) count_("dropped", dropped);
}

std::vector<RequestSpans> SpanExporter::take_batch() {
  MutexLock lock(mutex_);
  while (queue_.empty() && !stopping_) changed_.wait(mutex_);
  const auto due = steady_clock::now() + milliseconds(options_.interval_ms);
  while (queue_.size() < options_.max_batch && !stopping_ && changed_.wait_until(mutex_, due)) continue;
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.max_batch));
  std::vector<RequestSpans> batch(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return batch;
}

void SpanExporter::run() {
  for (std::vector<RequestSpans> batch = take_batch(); !batch.empty(); batch = take_batch()) {
    size_t num_spans = 0;
    for (const RequestSpans& request : batch) num_spans += request.num_spans();
    const bool sent = connection_->post(export_request_json(options_.source, batch));
    count_(sent ? "exported" : "dropped", num_spans);
  }
  MutexLock lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace sf::server
