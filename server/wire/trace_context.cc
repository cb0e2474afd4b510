#include "server/wire/trace_context.h"

#include <algorithm>
#include <cstdint>

#include "server/wire/request_id.h"

namespace sf::server {
namespace {

// "00-" trace id "-" parent id "-" flags
constexpr size_t kTraceAt = 3, kTraceDigits = 32;
constexpr size_t kParentAt = 36, kParentDigits = 16;
constexpr size_t kFlagsAt = 53, kLength = 55;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

int hex_value(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

bool is_well_formed(std::string_view header) {
  if (header.size() < kLength) return false;
  const std::string_view version = header.substr(0, 2);
  if (!is_hex(version) || version == "ff") return false;
  if (header.size() > kLength && (version == "00" || header[kLength] != '-')) return false;
  if (header[2] != '-' || header[kParentAt - 1] != '-' || header[kFlagsAt - 1] != '-') return false;
  const std::string_view trace = header.substr(kTraceAt, kTraceDigits),
                         parent = header.substr(kParentAt, kParentDigits);
  return is_hex(trace) && is_hex(parent) && is_hex(header.substr(kFlagsAt, 2)) && !is_zero(trace) && !is_zero(parent);
}

std::string random_hex64() {
  uint64_t bits = 0;
  while (bits == 0) bits = random_seed();
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits.push_back("0123456789abcdef"[bits >> shift & 15]);
  return digits;
}

}  // namespace

TraceContext continue_trace(std::string_view header) {
  if (!is_well_formed(header)) return {};
  return {.trace_id = std::string(header.substr(kTraceAt, kTraceDigits)),
          .span_id = random_span_id(),
          .parent_id = std::string(header.substr(kParentAt, kParentDigits)),
          .sampled = (hex_value(header[kFlagsAt + 1]) & 1) != 0};
}

TraceContext begin_trace(bool sampled) {
  return {
      .trace_id = random_hex64() + random_hex64(), .span_id = random_span_id(), .parent_id = "", .sampled = sampled};
}

std::string random_span_id() { return random_hex64(); }

}  // namespace sf::server
