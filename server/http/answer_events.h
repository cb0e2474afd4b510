// An answer as server-sent events, an event a write: what the Presenter makes of each event of its streams, in turn, up
// to the end or the first error.
//
//   AnswerEvents::send(response, {presenter, streams, first, request.path, "call-id"},
//                      {.is_stopping = is_stopping}, [](int code, const Summary* total) { ... });
//
// One thread only: the one that serves the connection.
#pragma once

#include <httplib.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/http/presenter.h"

namespace sf::server {

using AnswerStreams = std::vector<std::shared_ptr<ResponseStream>>;

struct StreamedAnswer {
  std::shared_ptr<Presenter> presenter;
  AnswerStreams streams;
  std::optional<Event> first;  // already taken off the first stream
  std::string path;            // the request's: its API gives errors their form
  std::string call_id;         // for the text of an internal error
};

struct AnswerEventsOptions {
  int poll_interval_ms = 20;  // how long a write waits for an event
  int ping_interval_ms = 15'000;
  std::function<bool()> is_stopping;
};

class AnswerEvents {
 public:
  // Runs exactly once, in close(): `code` is the HTTP status that the answer came to; `total` is null unless it was
  // answered to its end.
  using OnEnd = std::function<void(int code, const Summary* total)>;
  AnswerEvents(StreamedAnswer answer, AnswerEventsOptions options, OnEnd on_end);

  // Effect: the response is these events.
  static void send(httplib::Response& response, StreamedAnswer answer, AnswerEventsOptions options, OnEnd on_end);

  // Effect: waits for at most poll_interval_ms and writes an event of the answer if there is one. Returns false once
  // nothing more can be written: the client or the server is going.
  bool write_next(httplib::DataSink& sink);
  // Effect: cancels what was not written to its end (`whole`).
  void close(bool whole);

 private:
  std::optional<Event> next_event(size_t& index);
  bool write_event(httplib::DataSink& sink, size_t index, Event event);
  bool write_error(httplib::DataSink& sink, size_t index, const Error& error);
  bool write_end(httplib::DataSink& sink);
  bool write(httplib::DataSink& sink, const std::string& data);
  bool ping(httplib::DataSink& sink);

  StreamedAnswer answer_;
  const AnswerEventsOptions options_;
  const OnEnd on_end_;
  const EventFormat format_;
  const std::vector<std::string> opening_;
  std::vector<std::optional<Summary>> summaries_;  // of the streams that have ended
  size_t num_opened_ = 0;                          // opening events that were written
  size_t turn_ = 0;                                // the stream that is looked at next
  std::chrono::steady_clock::time_point last_write_ = std::chrono::steady_clock::now();
  int code_ = 499;  // until the end was written the client counts as gone
  std::optional<Summary> total_;
};

}  // namespace sf::server
