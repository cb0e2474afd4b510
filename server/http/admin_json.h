// Versions and expert loads as JSON text.
//
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "server/service/model_admin.h"

namespace sf::server {

// {"object": "list", "data": [{"version", "state", "reason", "message", "pinned", "step", "created", "digest",
// "score"}]}; what is not known is null.
std::string versions_json(const std::vector<VersionStatus>& versions);

// The same behind a first field "version": the one served after a command.
std::string command_json(int64_t served, const std::vector<VersionStatus>& versions);

// {"model_version", "layers": [{"layer", "window": {...} or null, "experts": [{"expert", "image": {...}, "text":
// {...}}]}]}
std::string experts_json(const ExpertLoads& loads);

}  // namespace sf::server
