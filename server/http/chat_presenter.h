// A chat completion: OpenAI's chat.completion object, or its chunks: the role of each choice, the deltas of all, the
// end of each, and the usage if it was asked for.
//
//   const auto presenter = std::make_shared<ChatPresenter>(service, "call-id", chat);
//
// One thread only: the one that serves the connection.
#pragma once

#include <string>
#include <vector>

#include "server/http/chat_json.h"
#include "server/http/chat_request.h"
#include "server/http/presenter.h"

namespace sf::server {

class ChatPresenter final : public Presenter {
 public:
  // The messages of `chat` may be gone. REQUIRES: `service` outlives this.
  ChatPresenter(const Service& service, const std::string& call_id, ChatRequest chat);

  void on_submitted(int64_t model_version) override;
  Error in_words(const Error& error) const override { return in_chat_words(error, chat_); }
  Summary total(const std::vector<const Summary*>& summaries) const override;
  void write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers, const Summary& total) override;
  std::vector<std::string> opening_events() override;
  std::vector<std::string> events_of(size_t index, Event event) override;
  std::vector<std::string> closing_events(const Summary& total) override;

 private:
  const Service& service_;
  const ChatRequest chat_;
  ChatHead head_;
  std::vector<std::string> texts_;  // of choices that are written at their end
};

}  // namespace sf::server
