// What all programs have in common on the command line: --help, --version, --config FILE (TOML), SPARSEFUSION_*
// environment variables, and how they fail.
//
//   int http_port = 8080;
//   return run_program({"sparsefusion-server", "Answers questions about images", "0.1.0"}, argc, argv,
//       [&](CLI::App& app) { app.add_option("--http-port", http_port, "Port of the REST API"); },
//       [&](const CLI::App&) { return serve(http_port); });
//
// Every option with a long name can be set in four places; the first that names it wins: the flag --http-port, the
// variable SPARSEFUSION_HTTP_PORT, the key http-port (or http_port) of the --config file, its default. Options of a
// subcommand `ask` stand in the file's table [ask]. SPARSEFUSION_CONFIG names a config file too. A flag, command or key
// that is not known is answered with the nearest one that is.
//
// One thread only: before any other is started, as setenv may not run beside it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <string>

namespace sf {

struct ProgramInfo {
  std::string name;
  std::string description;
  std::string version;
};

struct ProgramStreams {
  std::ostream& out = std::cout;
  std::ostream& err = std::cerr;
};

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;  // unknown flag or key, missing or malformed value

// Effect: calls `configure` to add options and subcommands, parses, calls `run` and returns its exit status. --help and
// --version print to out and return 0. A usage error prints one line to err and returns 2; an exception of `run` (or of
// a subcommand's callback) prints one line and returns 1. Never throws what is derived from std::exception.
int run_program(const ProgramInfo& info, int argc, const char* const* argv,
                const std::function<void(CLI::App&)>& configure, const std::function<int(const CLI::App&)>& run,
                ProgramStreams streams = {});

// The pieces of run_program, for a program with a help or exit status of its own. Effect: --config, read as TOML,
// without what the environment sets; a key that is no flag is an error. `help`: what --help prints about it.
void add_config_option(CLI::App& app, const std::string& help);

// Effect: gives every option with a long name, of every subcommand too, its environment variable.
void name_environment_variables(CLI::App& app);

// What a usage error prints: with the file and the line of a value that the --config file gave, and the nearest known
// flag or command where there is one.
std::string usage_error(CLI::App& app, const CLI::ParseError& error);

// "http-port" -> "SPARSEFUSION_HTTP_PORT".
std::string environment_name(const std::string& long_name);

// An empty variable counts as none.
bool is_set_in_environment(const std::string& long_name);

}  // namespace sf
