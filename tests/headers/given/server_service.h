#pragma once

#include "server/service/answer_fields.h"
#include "server/service/answer_service.h"
#include "server/service/explain_fields.h"
#include "server/service/fair_gate.h"

namespace sf::server::examples_server_service {

extern Service& service;
extern AnswerRequest request;
extern ModelSlot slot;
extern Metrics metrics;
extern FairGate gate;
extern const std::shared_ptr<ResponseStream> stream;
extern ExplainFields fields;
extern const std::string request_id, id;
extern const TraceContext trace;
extern const RequestOrigin origin;
extern const Error& error;
extern const std::chrono::steady_clock::time_point deadline;
bool client_left();

}  // namespace sf::server::examples_server_service
