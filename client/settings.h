// Which server the settings of `sparsefusion` name: by which flag, and whether on the command line, by a SPARSEFUSION_*
// variable or in the --config file (engine/base/flags.h reads those).
//
//   app.parse(argc, argv);
//   const Source server = source_of(*app.get_option("--server"), arguments);
//
// Thread-safe: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/commands.h"

namespace sf::client {

inline constexpr const char* kDefaultGrpcTarget = "127.0.0.1:8001";
inline constexpr const char* kDefaultUrl = "http://127.0.0.1:8000";
inline constexpr const char* kDefaultTlsUrl = "https://127.0.0.1:8000";
inline constexpr const char* kDefaultAdminUrl = "http://127.0.0.1:8002";

// A later one wins over an earlier one, also where two settings exclude each other.
enum class Source { kDefault, kFile, kEnvironment, kFlag };

// Where the option's value came from. REQUIRES: parsed. `arguments`: the command line without the program.
Source source_of(const CLI::Option& option, const std::vector<std::string>& arguments);

// What the settings say of the servers, and where each came from.
struct ConnectionChoice {
  Source server = Source::kDefault, grpc = Source::kDefault, admin = Source::kDefault;
  Source rest = Source::kDefault;  // --rest
  std::string admin_url = kDefaultAdminUrl;
  bool asks = false;       // a question: over gRPC by default; the rest over REST, which every server offers
  bool commands = false;   // of reload: on the management port by default; with keys also elsewhere, if set so
  bool rest_only = false;  // gRPC does not have it
};

// The server that was named by the stronger source: a flag beats a variable of another transport. Of equals --rest
// comes first, then --grpc, then --server; for commands --admin before all.
Connection choose_connection(Connection connection, const ConnectionChoice& choice);

}  // namespace sf::client
