// Which version comes next, as pure functions: what a poll tries, and what a rollback goes back to.
//
//   std::vector<int64_t> newest_first = versions_to_try({.versions = {1, 2, 3}, .served = 1});       // 3, 2
//   std::optional<int64_t> back = version_to_go_back_to({.served = 3, .served_before = {1, 2}, .versions = {1, 2, 3}});
//
// Thread-safe: free functions.
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

// Best first. Without a pin: those above the served one (and above what stood in the store when an operator chose by
// hand), newest first. With a pin: the pinned one and nothing else; where nothing is served yet, those below it stand
// in, newest first, because an operator pinned it against what is above.
std::vector<int64_t> versions_to_try(const VersionChoice& choice);

struct RollbackChoice {
  int64_t served = 0;                       // 0 = none
  std::vector<int64_t> served_before = {};  // oldest first
  std::vector<int64_t> versions = {};       // of the store, ascending
  std::vector<int64_t> usable = {};         // those of `versions` that are neither quarantined nor without a manifest
};

// The last one that served before this one and is still in the store, whatever has become of it since; else the
// highest good one below the served. Nothing where there is neither.
std::optional<int64_t> version_to_go_back_to(const RollbackChoice& choice);

}  // namespace sf::server
