#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include "client/client.h"
#include "client/commands.h"
#include "client/event_lines.h"

namespace sf::client::examples_client {

extern const Question question;
extern EventLines lines;
extern const Connection connection;
extern CLI::App app;
extern int argc;
extern char** argv;
extern const std::vector<std::string> arguments;

}  // namespace sf::client::examples_client
