// What can be wrong with a configuration, found without starting anything: --check-config.
#pragma once

#include "server/app/server_options.h"

namespace sf::server {

// Effect: looks at the model's path and manifests, the keys, the certificates and the folders; binds and loads nothing.
// Errors: the first thing that is wrong, naming its flag.
void check_config(const ServerOptions& options);

}  // namespace sf::server
