// Which addresses and names the server may call for a client.
//
//   if (!is_public_address("10.0.0.1")) refuse();
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sf::server {

// A numeric address that the whole Internet can reach. Not: private, loopback, link-local, carrier-grade NAT,
// multicast, reserved and documentation ranges (IANA's special-purpose registries), IPv4 within IPv6 in any form
// (mapped, NAT64, 6to4, Teredo), and what is no address.
bool is_public_address(const std::string& address);

// A DNS name in lower case: letters, digits, dashes and dots, no dot at its end, and no number as its last label, so no
// address either.
bool is_host_name(std::string_view name);

struct HttpsUrl {
  std::string host;  // lower case
  int port = 443;
  std::string target;  // path and query
};

// Errors: InvalidArgument naming `field` for anything but https://name[:port]/path[?query] in ASCII: no user, no
// address, no percent sign in the name.
HttpsUrl parse_https_url(std::string_view url, const std::string& field);

}  // namespace sf::server
