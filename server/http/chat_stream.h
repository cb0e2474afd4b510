// A chat completion as server-sent events, an event a write: for each choice its role, its deltas and its end, then the
// usage if it was asked for, then "data: [DONE]". Where nothing happens for a while a comment keeps proxies awake.
//
//   auto chat = std::make_shared<ChatStream>(streams, options, on_end);
//   respond_with_events(response, chat);
#pragma once

#include <httplib.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/http/chat_choices.h"
#include "server/http/chat_json.h"
#include "server/http/event_writer.h"

namespace sf::server {

struct ChatStreamOptions {
  ChatHead head;
  ChatChoices choices = {};  // what the answers are chosen from, if from anything
  bool logprobs = false;
  bool include_usage = false;
  int poll_interval_ms = 20;
  int ping_interval_ms = 15'000;
  std::function<bool()> is_stopping;
};

// Used by the one thread that serves the connection.
class ChatStream {
 public:
  using OnEnd = std::function<void(int code, const Summary* summary)>;  // once, in close()
  // `first` is an event that was already taken off the first stream.
  ChatStream(std::vector<std::shared_ptr<ResponseStream>> streams, std::optional<Event> first,
             ChatStreamOptions options, OnEnd on_end);

  // Effect: writes one event if there is one within poll_interval_ms. False once nothing more can be written.
  bool write_next(httplib::DataSink& sink);
  void close(bool whole);

 private:
  struct Choice {
    std::shared_ptr<ResponseStream> stream;
    bool role_written = false;
    std::string text;  // of an answer that is written at its end
    std::optional<Summary> summary;
  };

  bool write_event(httplib::DataSink& sink, int index, Event event);
  bool write_end(httplib::DataSink& sink);
  std::optional<Event> next_event(int& index);

  std::vector<Choice> choices_;
  std::optional<Event> first_;
  const ChatStreamOptions options_;
  const OnEnd on_end_;
  size_t turn_ = 0;  // the choice that is looked at next
  EventWriter writer_;
  int code_ = 499;  // until the end was written the client counts as gone
  std::optional<Summary> total_;
};

}  // namespace sf::server
