// A generate_stream answer as server-sent events, as Triton writes them: an object a delta, one with the counts at the
// end, an event a write, no "[DONE]". Where nothing happens for a while a comment keeps proxies awake.
//
//   auto generate = std::make_shared<GenerateStream>(stream, first, options, on_end);
//   response.set_chunked_content_provider(
//       "text/event-stream", [=](size_t, httplib::DataSink& sink) { return generate->write_next(sink); },
//       [=](bool whole) { generate->close(whole); });
#pragma once

#include <httplib.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http/kserve_json.h"

namespace sf::server {

struct GenerateStreamOptions {
  InferHead head;
  std::string call_id;        // for the text of an internal error
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
  bool write(httplib::DataSink& sink, const std::string& data);
  bool write_event(httplib::DataSink& sink, const Event& event);
  bool ping(httplib::DataSink& sink);

  const std::shared_ptr<ResponseStream> stream_;
  std::optional<Event> first_;
  const GenerateStreamOptions options_;
  const OnEnd on_end_;
  std::chrono::steady_clock::time_point last_write_ = std::chrono::steady_clock::now();
  int code_ = 499;  // until the end was written the client counts as gone
  std::optional<Summary> summary_;
};

}  // namespace sf::server
