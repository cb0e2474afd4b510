// DNS rebinding: a page of a stranger whose name is made to point at this machine sends that name in Host. Only names
// can be rebound, so an address literal is always this machine's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

// The host of "name:8002", "[::1]:8002" or "name", lower case, without brackets; empty if it is malformed.
std::string host_of_authority(std::string_view authority);

// Whether `host_header` names this machine: an IP literal, localhost, or one of `allowed`.
bool is_own_host(std::string_view host_header, const std::vector<std::string>& allowed);

// Whether an Origin header (empty = none was sent) comes from this machine as well.
bool is_own_origin(std::string_view origin, const std::vector<std::string>& allowed);

}  // namespace sf::server
