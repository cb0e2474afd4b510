// Who goes first among requests that wait.
#pragma once

namespace sf::server {

enum class Priority { kInteractive, kBatch };

}  // namespace sf::server
