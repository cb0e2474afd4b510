#pragma once

#include <nlohmann/json.hpp>
#include "server/outbound/metric_exporter.h"
#include "server/outbound/request_spans.h"
#include "server/outbound/span_exporter.h"

namespace sf::server::examples_server_outbound {

using nlohmann::json;

extern const std::string body;
extern const RequestRecord record;
extern const std::vector<RequestSpans> requests;
void count(const char* result, size_t spans = 0);
double unix_now();
void refuse();

}  // namespace sf::server::examples_server_outbound
