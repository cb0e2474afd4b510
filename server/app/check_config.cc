#include "server/app/check_config.h"

#include <filesystem>

#include "engine/base/file.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/store.h"
#include "server/guard/api_keys.h"
#include "server/http/http_server.h"
#include "server/model/checkpoint_source.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxManifestBytes = 16 << 20;

void check_manifest(const fs::path& directory, const char* flag) {
  try {
    parse_manifest(read_file(directory / kManifestName, kMaxManifestBytes));
  } catch (const Error& error) {
    throw Error(Code::kInvalidArgument, concat(flag, ": ", directory.string(), ": ", error.what()));
  }
}

void check_model(const ServerOptions& options) {
  if (!fs::is_directory(options.model)) {
    throw Error(Code::kInvalidArgument, concat("--model: no such directory: ", options.model));
  }
  if (is_checkpoint_directory(options.model)) {
    check_manifest(options.model, "--model");
  } else if (list_versions(options.model).empty() && !options.seed_model.empty()) {
    check_manifest(options.seed_model, "--seed-model");
  }
}

}  // namespace

void check_config(const ServerOptions& options) {
  check_model(options);
  if (!options.state_dir.empty() && !fs::is_directory(options.state_dir)) {
    throw Error(Code::kInvalidArgument, concat("--state-dir: no such directory: ", options.state_dir));
  }
  if (!options.api_keys.empty()) read_api_keys(options.api_keys);
  check_tls({options.tls_cert, options.tls_key, options.tls_client_ca});
  for (const std::string& origin : options.cors_origins) {
    if (origin == "*" || (origin.find("://") != std::string::npos && !origin.ends_with('/'))) continue;
    throw Error(Code::kInvalidArgument, concat("--cors-origin: must be scheme://host[:port] or *, got ", origin));
  }
}

}  // namespace sf::server
