#include "server/http/openai_api.h"

#include "server/http/access.h"
#include "server/http/body_reader.h"
#include "server/wire/json_parse.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

int64_t unix_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(since).count();
}

template <typename Streams>
void cancel_all(const Streams& streams) {
  for (const auto& stream : streams) stream->cancel();
}

}  // namespace

OpenAiApi::OpenAiApi(const HttpOptions& options, Service& service, Listener& listener)
    : options_(options), service_(service), listener_(listener) {}

void OpenAiApi::register_routes() {
  listener_.post("/v1/chat/completions", [this](const auto& request, auto& response, const auto& reader) {
    complete(request, response, reader);
  });
}

ChatRequest OpenAiApi::read(const httplib::Request& request, const httplib::ContentReader& reader,
                            const HttpCall& call) const {
  if (!has_media_type(request, "application/json")) {
    throw Error(Code::kInvalidArgument, "Content-Type: must be application/json", "Content-Type",
                Reason::kUnsupportedType);
  }
  BodyReader body(body_limits(options_, listener_), request, reader);
  ChatRequest chat = read_chat_request(
      body.read_json(json_limits(options_.limits)), options_.limits,
      fetch_for(options_.fetch_image, {.tenant = caller_of(options_.keys, request),
                                       .is_unwanted = [&request] { return request.is_connection_closed(); }}));
  chat.request.body_bytes = body.num_bytes();
  chat.request.request_id = call.id;
  chat.request.tenant = caller_of(options_.keys, request);
  chat.request.is_unwanted = [this, &request] { return request.is_connection_closed() || listener_.stopping(); };
  chat.request.spent_s = spent_s(call);
  return chat;
}

void OpenAiApi::complete(const httplib::Request& request, httplib::Response& response,
                         const httplib::ContentReader& reader) {
  const HttpCall call = begin_call("openai", request, response);
  ChatRequest chat;
  try {
    chat = read(request, reader, call);
  } catch (...) {
    refuse_call(service_, call, request, response, thrown_error());
    return;
  }
  Streams streams;
  try {
    streams = submit(chat);
    const int64_t version = streams.front()->model_version();
    const ChatHead head{{call.id, served_model(service_, chat.request.model), version}, unix_now()};
    response.set_header("X-Model-Version", std::to_string(version));
    if (chat.stream) {
      answer_stream(request, response, call, chat, streams, head);
    } else {
      answer_whole(request, response, call, chat, streams, head);
    }
  } catch (...) {
    cancel_all(streams);
    const Error error = thrown_error();
    const bool stopped = error.code() == Code::kCancelled && listener_.stopping();
    fail_call(service_, call, request, response, stopped ? shutting_down() : in_chat_words(error, chat), 0);
  }
}

// All choices or none: one that is refused takes the others with it.
OpenAiApi::Streams OpenAiApi::submit(const ChatRequest& chat) {
  return service_.submit_batch(static_cast<size_t>(chat.n), [&](size_t i) {
    AnswerRequest request = chat.request;
    request.sampling.seed += i;
    return request;
  });
}

void OpenAiApi::answer_whole(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                             const ChatRequest& chat, const Streams& streams, const ChatHead& head) {
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  const int64_t version = head.answer.model_version;
  std::vector<WholeAnswer> answers;
  for (const auto& stream : streams) {
    answers.push_back(wait_for_answer(*stream, options_.poll_interval_ms, is_unwanted));
    if (!answers.back().error) {
      answers.back().text = chat.choices.content_of(answers.back().text);
      continue;
    }
    const Error& error = *answers.back().error;
    cancel_all(streams);
    const bool stopped = error.code() == Code::kCancelled && listener_.stopping();
    fail_call(service_, call, request, response, stopped ? shutting_down() : error, version);
    return;
  }
  response.set_content(chat_json(head, answers, chat.request.logprobs), "application/json");
  Summary total = *answers.front().summary;
  std::vector<const Summary*> summaries;
  for (const WholeAnswer& answer : answers) summaries.push_back(&*answer.summary);
  total.usage = total_usage(summaries);
  record_call(service_, call, 200, version, &total);
}

void OpenAiApi::answer_stream(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                              const ChatRequest& chat, const Streams& streams, const ChatHead& head) {
  const int64_t version = head.answer.model_version;
  // For no longer than a proxy waits.
  const FirstEventOptions patience{.poll_interval_ms = options_.poll_interval_ms,
                                   .max_wait_ms = options_.ping_interval_ms};
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  FirstEvent first = wait_for_first_event(*streams.front(), patience, is_unwanted);
  if (first.unwanted) {
    cancel_all(streams);
    fail_call(service_, call, request, response, listener_.stopping() ? shutting_down() : client_gone(), version);
    return;
  }
  if (first.event && first.event->error) {
    cancel_all(streams);
    fail_call(service_, call, request, response, *first.event->error, version);
    return;
  }
  ChatStreamOptions options{.head = head,
                            .choices = chat.choices,
                            .logprobs = chat.request.logprobs,
                            .include_usage = chat.include_usage,
                            .poll_interval_ms = options_.poll_interval_ms,
                            .ping_interval_ms = options_.ping_interval_ms,
                            .is_stopping = [this] { return listener_.stopping(); }};
  auto stream = std::make_shared<ChatStream>(
      streams, std::move(first.event), std::move(options),
      [this, call, version](int code, const Summary* summary) { record_call(service_, call, code, version, summary); });
  respond_with_events(response, std::move(stream));
}

}  // namespace sf::server
