// How one REST API writes an answer. A Presenter only translates: when something is written, what becomes of a failure
// and when the client counts as gone is decided once, for all APIs, in AnswerHandler.
//
//   class PlainText final : public Presenter {
//    public:
//     void on_submitted(int64_t) override {}
//     void write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers, const Summary&) override {
//       response.set_content(answers.front().text, "text/plain");
//     }
//     std::vector<std::string> events_of(size_t, Event event) override { return {event.text}; }
//   };
//
// One thread only: the one that serves the connection. It may outlive the request's handler, so it holds no reference
// to the request.
#pragma once

#include <httplib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "server/service/wait_for_answer.h"

namespace sf::server {

// What the APIs' streams differ in, beside the text of their events.
struct EventFormat {
  // A comment where nothing happens for a while, to keep proxies awake; the status line waits no longer either.
  bool pings = true;
  bool done_event = true;  // "data: [DONE]" at the end
};

// An answer may be of several: the choices of one question, or one for each question of a batch. The streams and their
// indices are those of submit.
class Presenter {
 public:
  virtual ~Presenter() = default;
  // The service has taken the request, and this version answers. Called before all that follows.
  virtual void on_submitted(int64_t model_version) = 0;
  // An error that was thrown while the request was submitted or its answer written, in the API's own words.
  virtual Error in_words(const Error& error) const { return error; }
  // What the metrics and the log get of several answers. REQUIRES: there is one at least.
  virtual Summary total(const std::vector<const Summary*>& summaries) const { return *summaries.front(); }

  // Effect: sets the response's body. REQUIRES: every answer has a summary, and `total` is theirs.
  virtual void write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers,
                           const Summary& total) = 0;

  // --- streams: the data of events, each written by itself ---
  virtual EventFormat event_format() const { return {}; }
  // Before anything of the answer.
  virtual std::vector<std::string> opening_events() { return {}; }
  // Of one event of stream `index`, which is no error.
  virtual std::vector<std::string> events_of(size_t index, Event event) = 0;
  // After the end of the last answer.
  virtual std::vector<std::string> closing_events(const Summary& /*total*/) { return {}; }

  // Effect: what the API counts by itself. Called once, at the end of a request that was submitted or refused by the
  // service; `total` is null unless it was answered.
  virtual void on_end(const Summary* /*total*/, size_t /*num_answers*/) {}
};

}  // namespace sf::server
