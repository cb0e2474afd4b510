#include "server/guard/base64.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kInvalid = 0xff;

constexpr std::array<uint8_t, 256> make_values() {
  std::array<uint8_t, 256> values{};
  values.fill(kInvalid);
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}
constexpr std::array<uint8_t, 256> kValues = make_values();

// The value of one quantum's characters; padding counts as 0.
uint32_t read_quantum(std::string_view quantum, size_t num_chars, const std::string& field) {
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; ++i) {
    const uint8_t value = i < num_chars ? kValues[static_cast<uint8_t>(quantum[i])] : 0;
    if (value == kInvalid) throw invalid_argument(field, field, ": a character that is not base64");
    bits = bits << 6 | value;
  }
  return bits;
}

}  // namespace

std::string decode_base64(std::string_view text, size_t max_bytes, const std::string& field) {
  if (text.find_first_of("\r\n") != std::string_view::npos) {
    throw invalid_argument(field, field, ": base64 with line breaks; leave them out (base64 -w0)");
  }
  if (text.size() % 4 != 0)
    throw invalid_argument(field, field, ": base64 must be padded to a multiple of 4 characters");
  if (text.empty()) return "";
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const size_t size = text.size() / 4 * 3 - padding;
  if (size > max_bytes) {
    throw Error(Code::kResourceExhausted, concat(field, ": larger than ", max_bytes, " bytes, got ", size), field,
                Reason::kTooLarge);
  }
  std::string bytes;
  bytes.reserve(size);
  for (size_t at = 0; at < text.size(); at += 4) {
    const size_t num_chars = at + 4 == text.size() ? 4 - padding : 4;
    const uint32_t bits = read_quantum(text.substr(at, 4), num_chars, field);
    for (size_t i = 0; i + 1 < num_chars; ++i) bytes.push_back(static_cast<char>(bits >> (16 - 8 * i) & 0xff));
    const uint32_t spare = num_chars == 4 ? 0 : bits & (num_chars == 3 ? 0xffu : 0xffffu);
    if (spare != 0) throw invalid_argument(field, field, ": base64 with non-zero spare bits");
  }
  return bytes;
}

bool is_data_uri(std::string_view text) {
  constexpr std::string_view kScheme = "data:";
  return text.size() >= kScheme.size() && std::equal(kScheme.begin(), kScheme.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

std::string decode_image_text(std::string_view text, size_t max_bytes, const std::string& field) {
  if (text.starts_with("http://") || text.starts_with("https://") || text.starts_with("file:")) {
    throw invalid_argument(field, field, ": URLs are not fetched; send base64 or a data URI");
  }
  if (!is_data_uri(text)) return decode_base64(text, max_bytes, field);
  const size_t comma = text.find(',');
  if (comma == std::string_view::npos || !text.substr(0, comma).ends_with(";base64")) {
    throw invalid_argument(field, field, ": a data URI must read data:<type>;base64,<data>");
  }
  return decode_base64(text.substr(comma + 1), max_bytes, field);
}

std::string encode_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? static_cast<uint8_t>(bytes[at + i]) : 0u);
    for (size_t i = 0; i < 4; ++i) text.push_back(i <= count ? kAlphabet[bits >> (18 - 6 * i) & 63] : '=');
  }
  return text;
}

}  // namespace sf::server
