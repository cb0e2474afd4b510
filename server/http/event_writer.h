// Server-sent events on one connection, and the way to the first of them: what every streaming answer shares.
//
//   FirstEvent first = wait_for_first_event(*stream, {.poll_interval_ms = 20}, is_unwanted);
//   respond_with_events(response, std::make_shared<ChatStream>(...));   // write_next(sink), close(whole)
#pragma once

#include <httplib.h>

#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/scheduler/response_stream.h"

namespace sf::server {

// An event a write. Used by the one thread that serves the connection.
class EventWriter {
 public:
  // Effect: writes one event. False once nothing more can be written.
  bool write(httplib::DataSink& sink, const std::string& data);
  // Effect: writes a comment, which clients skip and which keeps proxies awake, if nothing was written for
  // `ping_interval_ms`. False once nothing more can be written.
  bool ping(httplib::DataSink& sink, int ping_interval_ms);

 private:
  std::chrono::steady_clock::time_point last_write_ = std::chrono::steady_clock::now();
};

struct FirstEventOptions {
  int poll_interval_ms = 20;
  int max_wait_ms = std::numeric_limits<int>::max();
};

struct FirstEvent {
  std::optional<Event> event;  // none: it was waited for as long as allowed, or nobody wants it any more
  bool unwanted = false;
};

// The status line waits for the first event, so that what fails before it is a plain HTTP error. Blocks. `is_unwanted`
// is asked whenever a poll interval passed without one.
template <typename IsUnwanted>
FirstEvent wait_for_first_event(ResponseStream& stream, const FirstEventOptions& options,
                                const IsUnwanted& is_unwanted) {
  for (int64_t waited_ms = 0; waited_ms < options.max_wait_ms; waited_ms += options.poll_interval_ms) {
    std::optional<Event> event = stream.next_for(options.poll_interval_ms);
    if (event) return {std::move(event), false};
    if (is_unwanted()) return {std::nullopt, true};
  }
  return {};
}

// Effect: the response is what `events` writes: its write_next(sink) until that gives false or is done, then
// close(whole).
template <typename Events>
void respond_with_events(httplib::Response& response, std::shared_ptr<Events> events) {
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");
  response.set_chunked_content_provider(
      "text/event-stream", [events](size_t, httplib::DataSink& sink) { return events->write_next(sink); },
      [events](bool whole) { events->close(whole); });
}

}  // namespace sf::server
