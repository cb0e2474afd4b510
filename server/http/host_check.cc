#include "server/http/host_check.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "engine/base/error.h"

namespace sf::server {
namespace {

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), [](unsigned char c) { return std::tolower(c); });
  return lowered;
}

bool is_ipv4(const std::string& host) {
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool is_ipv6(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// Letters, digits and what else stands in names; beyond ASCII a browser sends punycode.
bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '.' || c == '_';
  });
}

// Nothing where there is none or it is no port; `well` says which.
std::optional<int> parse_port(std::string_view text, bool& well) {
  well = !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
  if (!well) return std::nullopt;
  const int port = std::stoi(std::string(text));
  well = port <= 65535;
  return port;
}

bool is_one_of(const Authority& authority, const std::vector<std::string>& allowed) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& name) {
    const std::optional<Authority> one = parse_authority(name);
    if (!one) return lower(name) == authority.host;  // an IPv6 address without brackets
    return one->host == authority.host && (!one->port || one->port == authority.port);
  });
}

// The port that a URL of this scheme means where it names none.
std::optional<int> default_port(std::string_view scheme) {
  if (scheme == "http") return 80;
  if (scheme == "https") return 443;
  return std::nullopt;
}

[[noreturn]] void refuse_host(const char* flag) {
  throw Error(Code::kPermissionDenied, concat("Host: not a name of this server; see ", flag), "Host");
}

void require_one_host(const httplib::Request& request) {
  if (request.get_header_value_count("Host") > 1) throw invalid_argument("Host", "Host: stands there more than once");
}

std::vector<std::string> values_of(const httplib::Request& request, const char* name) {
  std::vector<std::string> values;
  for (size_t i = 0; i < request.get_header_value_count(name); ++i) {
    values.push_back(request.get_header_value(name, "", i));
  }
  return values;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  size_t colon = text.find(':');
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    authority.host = lower(text.substr(1, bracket - 1));
    authority.host.resize(std::min(authority.host.find('%'), authority.host.size()));  // fe80::1%eth0
    authority.is_address = true;
    if (!is_ipv6(authority.host)) return std::nullopt;
    colon = bracket + 1 == text.size() ? std::string_view::npos : bracket + 1;
    if (colon != std::string_view::npos && text[colon] != ':') return std::nullopt;
  } else {
    std::string_view host = text.substr(0, colon);
    if (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
    if (!is_name(host)) return std::nullopt;
    authority.host = lower(host);
    authority.is_address = is_ipv4(authority.host);
  }
  if (colon == std::string_view::npos) return authority;
  bool well = false;
  authority.port = parse_port(text.substr(colon + 1), well);
  if (!well) return std::nullopt;
  return authority;
}

std::string host_of_authority(std::string_view text) {
  const std::optional<Authority> authority = parse_authority(text);
  return authority ? authority->host : "";
}

bool is_loopback_host(const std::string& host) {
  if (lower(host) == "localhost") return true;
  in_addr four;
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six;
  if (inet_pton(AF_INET6, host.c_str(), &six) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

bool is_own_host(std::string_view host_header, const std::vector<std::string>& allowed) {
  const std::optional<Authority> host = parse_authority(host_header);
  return host && (host->is_address || host->host == "localhost" || is_one_of(*host, allowed));
}

bool is_own_origin(std::string_view origin, std::string_view host_header, const std::vector<std::string>& allowed) {
  if (origin.empty()) return true;
  const size_t mark = origin.find("://");
  if (mark == std::string_view::npos) return false;
  const std::string scheme = lower(origin.substr(0, mark));
  const std::optional<Authority> page = parse_authority(origin.substr(mark + 3));
  const std::optional<Authority> host = parse_authority(host_header);
  if (!page || !default_port(scheme)) return false;
  if (is_one_of(*page, allowed)) return true;
  const auto port_of = [&](const Authority& authority) {
    return authority.port ? authority.port : default_port(scheme);
  };
  return host && page->host == host->host && port_of(*page) == port_of(*host);
}

void check_public_request(const PublicRules& rules, const httplib::Request& request) {
  require_one_host(request);
  const std::string host = request.get_header_value("Host");
  // HTTP/1.0 knows no Host; every browser sends one.
  if (rules.is_loopback && request.has_header("Host") && !is_own_host(host, rules.allowed_hosts)) {
    refuse_host("--allowed-host");
  }
  if (request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS") return;
  for (const std::string& origin : values_of(request, "Origin")) {
    const bool named = std::any_of(rules.cors_origins.begin(), rules.cors_origins.end(),
                                   [&](const std::string& one) { return one == "*" || one == origin; });
    if (named || is_own_origin(origin, host)) continue;
    throw Error(Code::kPermissionDenied, "Origin: a page of another origin may not ask here; see --cors-origin",
                "Origin");
  }
}

void check_management_request(const std::vector<std::string>& own_hosts, const std::vector<std::string>& allowed_hosts,
                              const httplib::Request& request) {
  require_one_host(request);
  const std::string host = request.get_header_value("Host");
  if (!is_own_host(host, own_hosts)) refuse_host("--admin-allowed-host");
  for (const std::string& origin : values_of(request, "Origin")) {
    if (!is_own_origin(origin, host, allowed_hosts))
      throw Error(Code::kPermissionDenied, "Origin: not this server", "Origin");
  }
}

}  // namespace sf::server
