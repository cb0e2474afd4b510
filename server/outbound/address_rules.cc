#include "server/outbound/address_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr size_t kMaxUrlBytes = 4096;
constexpr size_t kMaxNameBytes = 253;
constexpr std::string_view kScheme = "https://";

// RFC 6890 and the registry it began: what is not globally reachable, and multicast.
constexpr struct {
  uint32_t network;
  int bits;
} kNotPublic4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
    {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 4},  {0xf0000000, 4},
};

bool is_public4(uint32_t address) {
  return std::none_of(std::begin(kNotPublic4), std::end(kNotPublic4),
                      [&](const auto& range) { return ((address ^ range.network) >> (32 - range.bits)) == 0; });
}

// Of global unicast (2000::/3), what is left without protocol assignments and Teredo (2001::/23), documentation
// (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16).
bool is_public6(const std::array<uint8_t, 16>& a) {
  const int first = a[0] << 8 | a[1], second = a[2] << 8 | a[3];
  if ((a[0] & 0xe0) != 0x20) return false;
  if (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) return false;
  return first != 0x2002 && !(first == 0x3fff && second < 0x1000);
}

Error bad_url(const std::string& field, const char* what) { return invalid_argument(field, field, ": ", what); }

int parse_port(std::string_view text, const std::string& field) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
    throw bad_url(field, "the URL's port is no number from 1 to 65535");
  }
  return port;
}

}  // namespace

bool is_public_address(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return is_public4(ntohl(v4.s_addr));
  std::array<uint8_t, 16> v6{};
  return inet_pton(AF_INET6, address.c_str(), v6.data()) == 1 && is_public6(v6);
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  std::string_view label;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    label = name.substr(begin, end - begin);
    const bool plain = std::all_of(label.begin(), label.end(), [](unsigned char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (label.empty() || label.size() > 63 || !plain || label.front() == '-' || label.back() == '-') return false;
    begin = end + 1;
  }
  // "127.1", "0x7f.1" and "2130706433" are addresses to some resolvers.
  return !std::isdigit(static_cast<unsigned char>(label.front()));
}

HttpsUrl parse_https_url(std::string_view url, const std::string& field) {
  if (url.size() > kMaxUrlBytes) throw bad_url(field, "the URL is longer than 4096 bytes");
  if (!url.starts_with(kScheme)) throw bad_url(field, "the URL must begin with https://");
  const bool printable = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
  if (!printable) throw bad_url(field, "the URL must be ASCII without spaces; other characters are percent-encoded");
  url.remove_prefix(kScheme.size());
  url = url.substr(0, url.find('#'));
  const size_t authority_end = std::min(url.find_first_of("/?"), url.size());
  std::string_view authority = url.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) throw bad_url(field, "the URL must not name a user");
  HttpsUrl parts;
  if (const size_t colon = authority.find(':'); colon != std::string_view::npos) {
    if (authority.front() != '[') parts.port = parse_port(authority.substr(colon + 1), field);
    authority = authority.substr(0, colon);
  }
  parts.host = authority;
  std::transform(parts.host.begin(), parts.host.end(), parts.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!is_host_name(parts.host)) throw bad_url(field, "the URL's host must be a DNS name");
  parts.target = url.substr(authority_end);
  if (!parts.target.starts_with('/')) parts.target.insert(0, 1, '/');
  return parts;
}

}  // namespace sf::server
