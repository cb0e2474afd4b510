// What Host and Origin say of where a request comes from. A page of a stranger can send requests to this machine from a
// browser: with its own name made to point here (DNS rebinding), which then stands in Host, or simply across origins,
// which then stands in Origin. Only names can be rebound, so an address literal is always this machine's own.
//
//   check_public_request({.is_loopback = is_loopback_host(host), .allowed_hosts = {"demo.local"}}, request);
//
// gRPC needs nothing of the kind: browsers do not speak it, and gRPC-Web is not offered. Thread-safe: free functions.
#pragma once

#include <httplib.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

// "name:8002", "[::1]:8002" or "name": the host in lower case, without brackets, the root's dot and an IPv6 zone.
struct Authority {
  std::string host;
  std::optional<int> port;
  bool is_address = false;
};

// Nothing for what is malformed: user information, a path, a port that is none, brackets around what is no IPv6
// address.
std::optional<Authority> parse_authority(std::string_view text);

// The host alone; empty if it is malformed.
std::string host_of_authority(std::string_view authority);

// Whether a server bound to `host` is reached from this machine alone.
bool is_loopback_host(const std::string& host);

// Whether `host_header` names this machine: an IP literal, localhost, or one of `allowed`.
bool is_own_host(std::string_view host_header, const std::vector<std::string>& allowed);

// Whether an Origin header (empty = none was sent) names the page's own server: the very host and port of
// `host_header`, or a host of `allowed`. Another port of this machine is another origin; "null" is no page's own.
bool is_own_origin(std::string_view origin, std::string_view host_header, const std::vector<std::string>& allowed = {});

// What port 8000 asks of a request where no keys are asked for.
struct PublicRules {
  bool is_loopback = true;                      // bound elsewhere, any Host is taken: an operator opened it
  std::vector<std::string> allowed_hosts = {};  // names taken in Host beside localhost and addresses
  std::vector<std::string> cors_origins = {};   // whose pages may call; "*" = any
};

// Effect: lets the request pass or throws PermissionDenied (field "Host" or "Origin"): a foreign Host on a port bound
// to loopback, or what changes or computes something (any method but GET, HEAD and OPTIONS) for a page of another
// origin; InvalidArgument for several Host headers.
void check_public_request(const PublicRules& rules, const httplib::Request& request);

// The management port, whatever the method: a foreign Host or Origin is refused. Errors: as above.
void check_management_request(const std::vector<std::string>& own_hosts, const std::vector<std::string>& allowed_hosts,
                              const httplib::Request& request);

}  // namespace sf::server
