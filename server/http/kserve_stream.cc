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
  if (event) return write_event(sink, *event);
  return !options_.is_stopping() && sink.is_writable() && writer_.ping(sink, options_.ping_interval_ms);
}

bool GenerateStream::write_event(httplib::DataSink& sink, const Event& event) {
  if (!event.text.empty() && !writer_.write(sink, generate_delta_json(options_.head, event.text))) return false;
  if (!event.finished) return true;
  const std::string last = event.error ? error_body(*event.error, "/v2", options_.call_id)
                                       : generate_end_json(options_.head, {""}, *event.summary, /*streamed=*/true);
  if (!writer_.write(sink, last)) return false;
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
