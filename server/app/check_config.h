// What can be wrong with a configuration, found without starting anything: --check-config.
//
//   for (const std::string& problem : config_problems(options)) std::cerr << problem << '\n';
//
// Thread-safe: a free function that reads files and changes nothing.
#pragma once

#include <string>
#include <vector>

#include "server/app/server_options.h"

namespace sf::server {

// Effect: looks at the model's path and manifests, the keys, the certificates and the folders; binds and loads nothing.
// Returns everything that is wrong, each naming its flag; empty if this could be served.
std::vector<std::string> config_problems(const ServerOptions& options);

}  // namespace sf::server
