// One answer as server-sent events: a delta an event, an event a write; at the end the whole answer object (or an error
// object) and "data: [DONE]".
//
//   auto stream = std::make_shared<SseAnswer>(...);
//   respond_with_events(response, stream);
#pragma once

#include <httplib.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http/answer_json.h"
#include "server/http/event_writer.h"
#include "server/service/service.h"

namespace sf::server {

// Used by the one thread that serves the connection.
class SseAnswer {
 public:
  // `on_end(code, summary)` runs exactly once, in close(): code is the HTTP status that the answer came to.
  using OnEnd = std::function<void(int code, const Summary* summary)>;
  // `first` is an event that was already taken off `stream`: it is written first.
  SseAnswer(std::shared_ptr<ResponseStream> stream, Event first, AnswerHead head, int poll_interval_ms,
            std::function<bool()> is_stopping, OnEnd on_end);

  // Effect: waits for at most poll_interval_ms and writes one event if there is one; cancels the stream if the client
  // or the server is going. Returns false once nothing more can be written.
  bool write_next(httplib::DataSink& sink);
  void close(bool whole);

 private:
  bool write_event(httplib::DataSink& sink, const Event& event);
  bool write_end(httplib::DataSink& sink, const Event& event);

  const std::shared_ptr<ResponseStream> stream_;
  std::optional<Event> first_;
  const AnswerHead head_;
  const int poll_interval_ms_;
  const std::function<bool()> is_stopping_;
  const OnEnd on_end_;
  EventWriter writer_;
  std::string text_;
  int code_ = 499;  // until the end was written the client counts as gone
  std::optional<Summary> summary_;
};

}  // namespace sf::server
