#include "server/versions/version_choice.h"

#include <algorithm>

namespace sf::server {

std::vector<int64_t> versions_to_try(const VersionChoice& choice) {
  std::vector<int64_t> wanted;
  for (const int64_t version : choice.versions) {
    const bool takes = choice.pinned ? version == *choice.pinned || (choice.served == 0 && version < *choice.pinned)
                                     : choice.served == 0 || (version > choice.served && version > choice.passed_over);
    if (takes && version != choice.served) wanted.push_back(version);
  }
  std::sort(wanted.rbegin(), wanted.rend());
  return wanted;
}

std::optional<int64_t> version_to_go_back_to(const RollbackChoice& choice) {
  for (auto before = choice.served_before.rbegin(); before != choice.served_before.rend(); ++before) {
    if (*before != choice.served && std::ranges::find(choice.versions, *before) != choice.versions.end()) {
      return *before;
    }
  }
  std::optional<int64_t> best;
  for (const int64_t version : choice.usable) {
    if (version < choice.served && version > best.value_or(0)) best = version;
  }
  return best;
}

}  // namespace sf::server
