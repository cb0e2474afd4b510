// A request's id: the client's if it is harmless in a header and a log line, else one of ours.
//
// Thread-safe: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sf::server {

// ^[A-Za-z0-9._-]{1,128}$
bool is_valid_request_id(std::string_view id);

// `offered` if it is valid, else a new id of 128 random bits. Thread-safe.
std::string choose_request_id(std::string_view offered);

// For sampling where the client gave no seed. Thread-safe.
uint64_t random_seed();

}  // namespace sf::server
