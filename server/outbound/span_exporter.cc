#include "server/outbound/span_exporter.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "server/wire/request_id.h"

namespace sf::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

}  // namespace

SpanExporter::SpanExporter(SpanExporterOptions options, Count count)
    : options_(std::move(options)),
      count_(std::move(count)),
      connection_(parse_collector_url(options_.endpoint), options_.timeout_ms) {
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
    connection_.abort();
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
    const bool sent = connection_.post(export_request_json(options_.source, batch));
    count_(sent ? "exported" : "dropped", num_spans);
  }
  MutexLock lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace sf::server
