#include "server/http/openai_api.h"

#include <utility>

#include "server/http/access.h"
#include "server/http/body_reader.h"
#include "server/http/chat_presenter.h"
#include "server/http/chat_request.h"
#include "server/wire/json_parse.h"

namespace sf::server {

OpenAiApi::OpenAiApi(const HttpOptions& options, Service& service, Listener& listener)
    : options_(options),
      service_(service),
      listener_(listener),
      handler_(options, service, [&listener] { return listener.stopping(); }) {}

void OpenAiApi::register_routes() {
  listener_.post("/v1/chat/completions", [this](const auto& request, auto& response, const auto& reader) {
    handler_.serve("openai", request, response, [&](const HttpCall& call, const IsUnwanted& is_unwanted) {
      return prepare(request, reader, call, is_unwanted);
    });
  });
}

PreparedAnswer OpenAiApi::prepare(const httplib::Request& request, const httplib::ContentReader& reader,
                                  const HttpCall& call, const IsUnwanted& is_unwanted) {
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
  chat.request.spent_s = spent_s(call);

  // Apart from `chat`, so that the image is held no longer than until it is submitted.
  std::vector<Message> messages = std::exchange(chat.request.messages, {});
  AnswerRequest asked = chat.request;
  asked.messages = std::move(messages);
  asked.is_unwanted = is_unwanted;
  PreparedAnswer prepared{.presenter = {}, .submit = {}, .streamed = chat.stream};
  // All choices or none: one that is refused takes the others with it.
  prepared.submit = [this, asked = std::move(asked), n = static_cast<size_t>(chat.n)] {
    return service_.submit_batch(n, [&](size_t i) {
      AnswerRequest choice = asked;
      choice.sampling.seed += i;
      return choice;
    });
  };
  prepared.presenter = std::make_shared<ChatPresenter>(service_, call.id, std::move(chat));
  return prepared;
}

}  // namespace sf::server
