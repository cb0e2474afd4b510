// A generate_stream answer as server-sent events, as Triton writes them: an object a delta, one with the counts at the
// end, an event a write, no "[DONE]". Where nothing happens for a while a comment keeps proxies awake.
//
//   auto generate = std::make_shared<GenerateStream>(stream, first, options, on_end);
//   respond_with_events(response, generate);
#pragma once

#include <httplib.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http/event_writer.h"
#include "server/http/kserve_json.h"

namespace sf::server {

struct GenerateStreamOptions {
  InferHead head;
  std::string call_id;  // for the text of an internal error
  int poll_interval_ms = 20;
  int ping_interval_ms = 15'000;
  std::function<bool()> is_stopping;
};

// Used by the one thread that serves the connection.
class GenerateStream {
 public:
  // `on_end(code, summary)` runs exactly once, in close(): code is the HTTP status that the answer came to.
  using OnEnd = std::function<void(int code, const Summary* summary)>;
  // `first` is an event that was already taken off `stream`: it is written first.
  GenerateStream(std::shared_ptr<ResponseStream> stream, std::optional<Event> first, GenerateStreamOptions options,
                 OnEnd on_end);

  // Effect: waits for at most poll_interval_ms and writes one event if there is one. Returns false once nothing more
  // can be written: the client or the server is going.
  bool write_next(httplib::DataSink& sink);
  // Effect: cancels what was not read to its end.
  void close(bool whole);

 private:
  bool write_event(httplib::DataSink& sink, const Event& event);

  const std::shared_ptr<ResponseStream> stream_;
  std::optional<Event> first_;
  const GenerateStreamOptions options_;
  const OnEnd on_end_;
  EventWriter writer_;
  int code_ = 499;  // until the end was written the client counts as gone
  std::optional<Summary> summary_;
};

}  // namespace sf::server
