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

}  // namespace sf::server
