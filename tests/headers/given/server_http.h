#pragma once

#include <httplib.h>
#include "server/app/server_options.h"
#include "server/http/answer_events.h"
#include "server/http/chat_request.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"
#include "server/service/service.h"
#include "server/wire/limits.h"

namespace sf::server::examples_server_http {

using nlohmann::json;

extern Service& service;
extern Listener& listener;
extern InferStatistics& statistics;
extern const HttpOptions http_options;
extern const RequestLimits limits;
extern const httplib::Request request;
extern httplib::Response response;
extern const httplib::ContentReader reader;
extern const json body;
extern const std::string content_type, binary, piece, host;
extern const std::shared_ptr<Presenter> presenter;
extern const AnswerStreams streams;
extern const std::optional<Event> first;
extern const ChatRequest chat;
extern const std::optional<int64_t> version;
bool receive(const std::string& piece);
bool is_unwanted();
bool is_stopping();

}  // namespace sf::server::examples_server_http
