#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include "server/app/server_app.h"

namespace sf::server::examples_server_app {

extern const ServerOptions options;
extern const std::exception& error;
extern CLI::App app;
extern int argc;
extern char** argv;
std::unique_ptr<Engine> make_engine(const VerifiedCheckpoint& checkpoint);
void write_line(const std::string& json_line);

}  // namespace sf::server::examples_server_app
