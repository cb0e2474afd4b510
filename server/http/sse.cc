#include "server/http/sse.h"

#include "server/http/http_errors.h"

namespace sf::server {

SseAnswer::SseAnswer(std::shared_ptr<ResponseStream> stream, Event first, AnswerHead head, int poll_interval_ms,
                     std::function<bool()> is_stopping, OnEnd on_end)
    : stream_(std::move(stream)),
      first_(std::move(first)),
      head_(std::move(head)),
      poll_interval_ms_(poll_interval_ms),
      is_stopping_(std::move(is_stopping)),
      on_end_(std::move(on_end)) {}

bool SseAnswer::write_next(httplib::DataSink& sink) {
  std::optional<Event> event = std::exchange(first_, std::nullopt);
  if (!event) event = stream_->next_for(poll_interval_ms_);
  if (event) return write_event(sink, *event);
  return !is_stopping_() && sink.is_writable();
}

bool SseAnswer::write_event(httplib::DataSink& sink, const Event& event) {
  text_ += event.text;
  if (!event.text.empty() && !writer_.write(sink, delta_json(head_, event.text))) return false;
  return event.finished ? write_end(sink, event) : true;
}

bool SseAnswer::write_end(httplib::DataSink& sink, const Event& event) {
  const std::string last =
      event.error ? error_body(*event.error, "/v1", head_.id) : answer_json(head_, text_, *event.summary);
  if (!writer_.write(sink, last) || !writer_.write(sink, "[DONE]")) return false;
  code_ = event.error ? http_status(*event.error) : 200;
  summary_ = event.summary;
  sink.done();
  return true;
}

void SseAnswer::close(bool whole) {
  if (!whole) stream_->cancel();
  on_end_(code_, summary_ ? &*summary_ : nullptr);
}

}  // namespace sf::server
