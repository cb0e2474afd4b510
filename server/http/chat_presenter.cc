#include "server/http/chat_presenter.h"

#include <chrono>
#include <utility>

#include "server/http/http_call.h"

namespace sf::server {
namespace {

int64_t unix_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(since).count();
}

}  // namespace

ChatPresenter::ChatPresenter(const Service& service, const std::string& call_id, ChatRequest chat)
    : service_(service),
      chat_(std::move(chat)),
      head_{{call_id, chat_.request.model, 0}, 0},
      texts_(static_cast<size_t>(chat_.n)) {}

void ChatPresenter::on_submitted(int64_t model_version) {
  head_.answer.model = served_model(service_, head_.answer.model);
  head_.answer.model_version = model_version;
  head_.created_unix = unix_now();
}

Summary ChatPresenter::total(const std::vector<const Summary*>& summaries) const {
  Summary total = *summaries.front();
  total.usage = total_usage(summaries);
  return total;
}

void ChatPresenter::write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers,
                                const Summary& total) {
  std::vector<WholeAnswer> choices = answers;
  for (WholeAnswer& choice : choices) choice.text = chat_.choices.content_of(choice.text);
  response.set_content(chat_json(head_, choices, total.usage, chat_.request.logprobs), "application/json");
}

std::vector<std::string> ChatPresenter::opening_events() {
  std::vector<std::string> events;
  for (int i = 0; i < chat_.n; ++i) events.push_back(chat_role_chunk(head_, i));
  return events;
}

std::vector<std::string> ChatPresenter::events_of(size_t index, Event event) {
  if (!chat_.choices.contents.empty()) {  // the whole choice says what is written for it
    texts_[index] += event.text;
    event.text = event.finished ? chat_.choices.content_of(texts_[index]) : "";
  }
  const int choice = static_cast<int>(index);
  const bool logprobs = chat_.request.logprobs;
  std::vector<std::string> events;
  if (!event.text.empty() || (logprobs && !event.tokens.empty())) {
    events.push_back(chat_delta_chunk(head_, choice, event, logprobs));
  }
  if (event.finished) events.push_back(chat_end_chunk(head_, choice, event.summary->finish_reason));
  return events;
}

std::vector<std::string> ChatPresenter::closing_events(const Summary& total) {
  if (!chat_.include_usage) return {};
  return {chat_usage_chunk(head_, total.usage)};
}

}  // namespace sf::server
