// How long the socket fuzz tests go on.
#pragma once

#include <cstdlib>

namespace sf::test {

// SF_FUZZ_SECONDS, or ten minutes with SF_LONG_TESTS, else 3 s. Thread-safe as long as no thread calls setenv.
inline double fuzz_seconds() {
  if (const char* seconds = std::getenv("SF_FUZZ_SECONDS")) return std::atof(seconds);
  return std::getenv("SF_LONG_TESTS") != nullptr ? 600 : 3;
}

}  // namespace sf::test
