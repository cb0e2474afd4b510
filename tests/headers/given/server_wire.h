#pragma once

#include <nlohmann/json.hpp>
#include "engine/engine.h"
#include "server/wire/limits.h"

namespace sf::server::examples_server_wire {

struct Request {
  SamplingParams sampling;
};

extern const RequestLimits limits;
extern const nlohmann::json body;
extern nlohmann::json line;
extern Request request;
extern const RoutingRecord record;
extern const std::string piece;
bool receive(const std::string& piece);
bool take(std::string_view text);
bool reads(const std::string& name);

}  // namespace sf::server::examples_server_wire
