// Which versions a poll tries, best first. Pure.
//
// Without a pin: those above the served one (and above what stood in the store when an operator chose by hand), newest
// first. With a pin: the pinned one and nothing else; where nothing is served yet, those below it stand in, newest
// first, because somebody pinned it against what is above.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace sf::server {

struct VersionChoice {
  std::vector<int64_t> versions = {};  // of the store, any order
  int64_t served = 0;                  // 0 = none
  int64_t passed_over = 0;             // versions up to this one are not taken while one is served
  std::optional<int64_t> pinned = {};
};

std::vector<int64_t> versions_to_try(const VersionChoice& choice);

}  // namespace sf::server
