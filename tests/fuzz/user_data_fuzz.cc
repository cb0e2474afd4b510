// Rows of a user's data file: the first byte picks the format.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "engine/base/error.h"
#include "trainer/tasks/user_rows/user_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  std::istringstream in(std::string(reinterpret_cast<const char*>(bytes) + 1, size - 1));
  sf::data::UserDataOptions options;
  options.max_bad_rows = 1 << 20;
  options.limits.max_pixels = 1 << 16;
  const auto format = bytes[0] % 2 == 0 ? sf::data::UserDataFormat::kJsonl : sf::data::UserDataFormat::kCsv;
  try {
    sf::data::read_user_data(in, format, "/nonexistent", options);
  } catch (const sf::Error&) {
  }
  return 0;
}
