#include "server/service/version_admin.h"

namespace sf::server {

std::optional<ExpertLoads> VersionAdmin::expert_loads() const {
  const ServingVersionPtr version = slot_.current();
  if (!version) return std::nullopt;
  return version->metrics->expert_loads();
}

int64_t VersionAdmin::load(int64_t version) {
  reloader_.load(version);
  return version;
}

int64_t VersionAdmin::pin(int64_t version) {
  reloader_.pin(version);
  return version != 0 ? version : slot_.current_version();
}

int64_t VersionAdmin::unpin() {
  reloader_.unpin();
  return slot_.current_version();
}

}  // namespace sf::server
