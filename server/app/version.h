// The program's version, as CMake's project() says it. Immutable.
#pragma once

namespace sf::server {

inline constexpr const char* kProgramVersion = SF_VERSION;

}  // namespace sf::server
