// A routing record as the APIs carry it: little-endian bytes of the flat arrays [tokens, layers, top_k].
//
//   std::string ids = routing_id_bytes(record);                            // two bytes an id
//   RoutingRecord record = routing_from_bytes(3, 2, ids);                  // the gates are not needed to replay
//
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "engine/engine.h"

namespace sf::server {

std::string routing_id_bytes(const RoutingRecord& record);
std::string routing_gate_bytes(const RoutingRecord& record);  // four bytes a gate, IEEE 754

// Errors: InvalidArgument (field "routing") unless the bytes are whole tokens of such a shape. Whether it is the
// model's is the service's to check.
RoutingRecord routing_from_bytes(int64_t num_layers, int64_t top_k, std::string_view ids);

}  // namespace sf::server
