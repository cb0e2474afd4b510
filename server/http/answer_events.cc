#include "server/http/answer_events.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/http/http_errors.h"

namespace sf::server {
namespace {

constexpr const char* kDone = "[DONE]";

}  // namespace

AnswerEvents::AnswerEvents(StreamedAnswer answer, AnswerEventsOptions options, OnEnd on_end)
    : answer_(std::move(answer)),
      options_(std::move(options)),
      on_end_(std::move(on_end)),
      format_(answer_.presenter->event_format()),
      opening_(answer_.presenter->opening_events()),
      summaries_(answer_.streams.size()) {}

void AnswerEvents::send(httplib::Response& response, StreamedAnswer answer, AnswerEventsOptions options, OnEnd on_end) {
  const auto events = std::make_shared<AnswerEvents>(std::move(answer), std::move(options), std::move(on_end));
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");
  response.set_chunked_content_provider(
      "text/event-stream", [events](size_t, httplib::DataSink& sink) { return events->write_next(sink); },
      [events](bool whole) { events->close(whole); });
}

// The next event of any stream that has not ended, in turn.
std::optional<Event> AnswerEvents::next_event(size_t& index) {
  index = 0;
  if (answer_.first) return std::exchange(answer_.first, std::nullopt);
  const auto num_open = std::count(summaries_.begin(), summaries_.end(), std::nullopt);
  for (size_t tried = 0; tried < summaries_.size(); ++tried) {
    index = turn_++ % summaries_.size();
    if (summaries_[index]) continue;
    const int wait_ms = std::max(1, options_.poll_interval_ms / static_cast<int>(num_open));
    if (std::optional<Event> event = answer_.streams[index]->next_for(wait_ms)) return event;
  }
  return std::nullopt;
}

bool AnswerEvents::write_next(httplib::DataSink& sink) {
  if (num_opened_ < opening_.size()) return write(sink, opening_[num_opened_++]);
  size_t index = 0;
  std::optional<Event> event = next_event(index);
  if (event) return write_event(sink, index, std::move(*event));
  return !options_.is_stopping() && sink.is_writable() && ping(sink);
}

bool AnswerEvents::write_event(httplib::DataSink& sink, size_t index, Event event) {
  if (event.error) return write_error(sink, index, *event.error);
  const bool finished = event.finished;
  if (finished) summaries_[index] = event.summary;
  for (const std::string& data : answer_.presenter->events_of(index, std::move(event))) {
    if (!write(sink, data)) return false;
  }
  const bool all = std::all_of(summaries_.begin(), summaries_.end(), [](const auto& s) { return s.has_value(); });
  return finished && all ? write_end(sink) : true;
}

// The status line is out, so that an error is an event; it ends the other streams too.
bool AnswerEvents::write_error(httplib::DataSink& sink, size_t index, const Error& error) {
  if (!write(sink, error_body(error, answer_.path, answer_.call_id))) return false;
  if (format_.done_event && !write(sink, kDone)) return false;
  code_ = http_status(error);
  for (size_t i = 0; i < answer_.streams.size(); ++i) {
    if (i != index) answer_.streams[i]->cancel();
  }
  sink.done();
  return true;
}

bool AnswerEvents::write_end(httplib::DataSink& sink) {
  std::vector<const Summary*> summaries;
  for (const auto& summary : summaries_) summaries.push_back(&*summary);
  Summary total = answer_.presenter->total(summaries);
  for (const std::string& data : answer_.presenter->closing_events(total)) {
    if (!write(sink, data)) return false;
  }
  if (format_.done_event && !write(sink, kDone)) return false;
  total_ = std::move(total);
  code_ = 200;
  sink.done();
  return true;
}

void AnswerEvents::close(bool whole) {
  if (!whole) {
    for (const auto& stream : answer_.streams) stream->cancel();
  }
  on_end_(code_, total_ ? &*total_ : nullptr);
}

bool AnswerEvents::write(httplib::DataSink& sink, const std::string& data) {
  last_write_ = std::chrono::steady_clock::now();
  const std::string event = "data: " + data + "\n\n";
  return sink.write(event.data(), event.size());
}

// A comment, which clients skip and which keeps proxies awake.
bool AnswerEvents::ping(httplib::DataSink& sink) {
  if (!format_.pings) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_write_ < std::chrono::milliseconds(options_.ping_interval_ms)) return true;
  last_write_ = now;
  static constexpr std::string_view kPing = ": ping\n\n";
  return sink.write(kPing.data(), kPing.size());
}

}  // namespace sf::server
