#include "server/http/chat_stream.h"

#include <algorithm>
#include <utility>

#include "server/http/http_errors.h"

namespace sf::server {

ChatStream::ChatStream(std::vector<std::shared_ptr<ResponseStream>> streams, std::optional<Event> first,
                       ChatStreamOptions options, OnEnd on_end)
    : first_(std::move(first)), options_(std::move(options)), on_end_(std::move(on_end)) {
  for (auto& stream : streams)
    choices_.push_back({.stream = std::move(stream), .role_written = false, .text = {}, .summary = std::nullopt});
}

// The next event of any choice that has not ended, in turn.
std::optional<Event> ChatStream::next_event(int& index) {
  index = 0;
  if (first_) return std::exchange(first_, std::nullopt);
  const auto open = std::count_if(choices_.begin(), choices_.end(), [](const Choice& c) { return !c.summary; });
  for (size_t tried = 0; tried < choices_.size(); ++tried) {
    index = static_cast<int>(turn_++ % choices_.size());
    if (choices_[index].summary) continue;
    const int wait_ms = std::max(1, options_.poll_interval_ms / static_cast<int>(open));
    if (std::optional<Event> event = choices_[index].stream->next_for(wait_ms)) return event;
  }
  return std::nullopt;
}

bool ChatStream::write_next(httplib::DataSink& sink) {
  for (size_t i = 0; i < choices_.size(); ++i) {
    if (choices_[i].role_written) continue;
    choices_[i].role_written = true;
    return writer_.write(sink, chat_role_chunk(options_.head, static_cast<int>(i)));
  }
  int index = 0;
  std::optional<Event> event = next_event(index);
  if (event) return write_event(sink, index, std::move(*event));
  return !options_.is_stopping() && sink.is_writable() && writer_.ping(sink, options_.ping_interval_ms);
}

bool ChatStream::write_event(httplib::DataSink& sink, int index, Event event) {
  if (event.error) {
    if (!writer_.write(sink, error_body(*event.error, "/v1", options_.head.answer.id)) ||
        !writer_.write(sink, "[DONE]"))
      return false;
    code_ = http_status(*event.error);
    for (const Choice& choice : choices_) choice.stream->cancel();
    sink.done();
    return true;
  }
  if (!options_.choices.contents.empty()) {  // the whole choice says what is written for it
    choices_[index].text += event.text;
    event.text = event.finished ? options_.choices.content_of(choices_[index].text) : "";
  }
  const bool has_delta = !event.text.empty() || (options_.logprobs && !event.tokens.empty());
  if (has_delta && !writer_.write(sink, chat_delta_chunk(options_.head, index, event, options_.logprobs))) return false;
  if (!event.finished) return true;
  choices_[index].summary = event.summary;
  if (!writer_.write(sink, chat_end_chunk(options_.head, index, event.summary->finish_reason))) return false;
  const bool all = std::all_of(choices_.begin(), choices_.end(), [](const Choice& c) { return c.summary.has_value(); });
  return all ? write_end(sink) : true;
}

bool ChatStream::write_end(httplib::DataSink& sink) {
  std::vector<const Summary*> summaries;
  for (const Choice& choice : choices_) summaries.push_back(&*choice.summary);
  const Usage usage = total_usage(summaries);
  if (options_.include_usage && !writer_.write(sink, chat_usage_chunk(options_.head, usage))) return false;
  if (!writer_.write(sink, "[DONE]")) return false;
  total_ = *choices_.front().summary;
  total_->usage = usage;
  code_ = 200;
  sink.done();
  return true;
}

void ChatStream::close(bool whole) {
  if (!whole) {
    for (const Choice& choice : choices_) choice.stream->cancel();
  }
  on_end_(code_, total_ ? &*total_ : nullptr);
}

}  // namespace sf::server
