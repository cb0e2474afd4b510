#pragma once

#include <httplib.h>
#include "server/app/server_options.h"
#include "server/http/chat_stream.h"
#include "server/http/kserve_stream.h"
#include "server/http/sse.h"
#include "server/service/service.h"
#include "server/wire/limits.h"

namespace sf::server::examples_server_http {

using nlohmann::json;

extern Service& service;
extern const RequestLimits limits;
extern const httplib::Request request;
extern httplib::Response response;
extern const httplib::ContentReader reader;
extern const json body;
extern const std::string content_type, binary, piece, host;
extern const std::vector<std::shared_ptr<ResponseStream>> streams;
extern const std::shared_ptr<ResponseStream> stream;
extern const std::optional<Event> first;
extern const Event first_event;
extern const AnswerHead head;
extern const ChatStreamOptions options;
extern const GenerateStreamOptions generate_options;
extern const std::optional<int64_t> version;
void on_end(int code, const Summary* summary);
bool receive(const std::string& piece);
bool is_unwanted();
bool is_stopping();

}  // namespace sf::server::examples_server_http
