#pragma once

#include "server/service/answer_fields.h"
#include "server/service/answer_service.h"
#include "server/versions/reloader.h"
#include "tests/headers/given/common.h"

namespace sf::server::examples_server_service {

extern sf::server::AnswerRequest request;
extern sf::server::AnswerFields fields;
extern sf::server::Service& service;
extern sf::server::ModelAdmin& admin;
extern sf::server::Reloader reloader;
extern sf::server::ModelSlot slot;
extern sf::server::Metrics metrics;
extern sf::server::TraceSink& traces;
extern const std::shared_ptr<sf::server::ResponseStream> stream;
extern const std::string request_id;
extern const std::chrono::steady_clock::time_point deadline;
bool client_left();
void decode();
void log(const std::string& json_line);
void write(const std::string& text);

}  // namespace sf::server::examples_server_service
