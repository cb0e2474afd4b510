// The command line of sparsefusion-server.
//
//   ServerOptions options;
//   add_server_flags(app, options);
//   app.parse(argc, argv);
//
// One thread only.
#pragma once

#include <CLI/CLI.hpp>

#include "server/app/server_options.h"

namespace sf::server {

// Effect: every field of `options` gets its flag, with the field's value as the default. REQUIRES: `options` outlives
// the parse.
void add_server_flags(CLI::App& app, ServerOptions& options);

}  // namespace sf::server
