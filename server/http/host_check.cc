#include "server/http/host_check.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

namespace sf::server {
namespace {

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), [](unsigned char c) { return std::tolower(c); });
  return lowered;
}

bool is_address(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 || inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

bool is_one_of(const std::string& host, const std::vector<std::string>& allowed) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& name) { return lower(name) == host; });
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

}  // namespace

std::string host_of_authority(std::string_view authority) {
  size_t end = authority.find(':');
  std::string_view host = authority.substr(0, end);
  if (authority.starts_with('[')) {
    const size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return "";
    host = authority.substr(1, bracket - 1);
    end = bracket + 1 == authority.size() ? std::string_view::npos : bracket + 1;
  }
  if (end != std::string_view::npos && (authority[end] != ':' || !is_port(authority.substr(end + 1)))) return "";
  return lower(host);
}

bool is_own_host(std::string_view host_header, const std::vector<std::string>& allowed) {
  const std::string host = host_of_authority(host_header);
  if (host.empty()) return false;
  if (host == "localhost" || is_address(host)) return true;
  return is_one_of(host, allowed);
}

bool is_own_origin(std::string_view origin, std::string_view host_header, const std::vector<std::string>& allowed) {
  if (origin.empty()) return true;
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view authority = origin.substr(scheme + 3);
  return lower(authority) == lower(host_header) || is_one_of(host_of_authority(authority), allowed);
}

}  // namespace sf::server
