#pragma once

#include "server/kserve/infer_statistics.h"
#include "server/service/service.h"

namespace sf::server::examples_server_kserve {

extern Service& service;
extern InferStatistics statistics;
extern const Summary summary;
extern const double elapsed_s;
extern const std::string call_id;
bool is_unwanted();

}  // namespace sf::server::examples_server_kserve
