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

// Whether an Origin header (empty = none was sent) names the page's own server: the very host and port of
// `host_header`, or a host of `allowed`. Another port of this machine is another origin.
bool is_own_origin(std::string_view origin, std::string_view host_header, const std::vector<std::string>& allowed);

}  // namespace sf::server
