#include "server/kserve/bytes_tensor.h"

#include <cstdint>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr size_t kLengthBytes = 4;

size_t read_length(std::string_view raw) {
  uint32_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= uint32_t{static_cast<unsigned char>(raw[i])} << (8 * i);
  return length;
}

}  // namespace

std::vector<std::string> split_bytes_tensor(std::string_view raw, size_t num_elements, const std::string& name) {
  std::vector<std::string> elements;
  // No reserve: `num_elements` is a claim, the bytes are what is there.
  for (size_t i = 0; i < num_elements; ++i) {
    if (raw.size() < kLengthBytes) {
      throw invalid_argument(name, name, ": the data ends before element ", i, " of ", num_elements);
    }
    const size_t length = read_length(raw);
    raw.remove_prefix(kLengthBytes);
    if (length > raw.size()) {
      throw invalid_argument(name, name, ": element ", i, " claims ", length, " bytes, ", raw.size(), " are left");
    }
    elements.emplace_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  if (!raw.empty()) throw invalid_argument(name, name, ": ", raw.size(), " bytes after the last element");
  return elements;
}

std::string join_bytes_tensor(const std::vector<std::string>& elements) {
  std::string raw;
  for (const std::string& element : elements) {
    SF_CHECK(element.size() <= UINT32_MAX, "a BYTES element of ", element.size(), " bytes has no length prefix");
    const auto length = static_cast<uint32_t>(element.size());
    for (size_t i = 0; i < kLengthBytes; ++i) raw.push_back(static_cast<char>(length >> (8 * i) & 0xff));
    raw += element;
  }
  return raw;
}

}  // namespace sf::server
