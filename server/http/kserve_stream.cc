#include "server/http/kserve_stream.h"

#include <utility>

#include "server/http/http_errors.h"

namespace sf::server {

GenerateStream::GenerateStream(std::shared_ptr<ResponseStream> stream, std::optional<Event> first,
                               GenerateStreamOptions options, OnEnd on_end)
    : stream_(std::move(stream)), first_(std::move(first)), options_(std::move(options)), on_end_(std::move(on_end)) {}

bool GenerateStream::write_next(httplib::DataSink& sink) {
  std::optional<Event> event = std::exchange(first_, std::nullopt);
  if (!event) event = stream_->next_for(options_.poll_interval_ms);
  return event ? write_event(sink, *event) : ping(sink);
}

bool GenerateStream::write(httplib::DataSink& sink, const std::string& data) {
  last_write_ = std::chrono::steady_clock::now();
  const std::string event = "data: " + data + "\n\n";
  return sink.write(event.data(), event.size());
}

bool GenerateStream::ping(httplib::DataSink& sink) {
  if (options_.is_stopping() || !sink.is_writable()) return false;
  const auto idle = std::chrono::steady_clock::now() - last_write_;
  if (idle < std::chrono::milliseconds(options_.ping_interval_ms)) return true;
  last_write_ = std::chrono::steady_clock::now();
  static constexpr std::string_view kPing = ": ping\n\n";
  return sink.write(kPing.data(), kPing.size());
}

bool GenerateStream::write_event(httplib::DataSink& sink, const Event& event) {
  if (!event.text.empty() && !write(sink, generate_delta_json(options_.head, event.text))) return false;
  if (!event.finished) return true;
  const std::string last = event.error ? error_body(*event.error, "/v2", options_.call_id)
                                       : generate_end_json(options_.head, "", *event.summary, /*streamed=*/true);
  if (!write(sink, last)) return false;
  code_ = event.error ? http_status(*event.error) : 200;
  summary_ = event.summary;
  sink.done();
  return true;
}

void GenerateStream::close(bool whole) {
  if (!whole) stream_->cancel();
  on_end_(code_, summary_ ? &*summary_ : nullptr);
}

}  // namespace sf::server
