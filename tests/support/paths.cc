#include "tests/support/paths.h"

namespace sf::test {

std::string source_dir() { return SF_SOURCE_DIR; }
std::string binary_dir() { return SF_BINARY_DIR; }

}  // namespace sf::test
