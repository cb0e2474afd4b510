#include "server/app/check_config.h"

#include <filesystem>

#include "engine/base/file.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/store.h"
#include "server/auth/api_keys.h"
#include "server/auth/certificate_set.h"
#include "server/outbound/remote_images.h"
#include "server/outbound/span_exporter.h"
#include "server/versions/checkpoint_source.h"

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
  } else if (list_versions(options.model).empty() && !options.bootstrap_model.empty()) {
    check_manifest(options.bootstrap_model, "--seed-model");
  }
}

void check_state_dir(const ServerOptions& options) {
  if (options.state_dir.empty() || fs::is_directory(options.state_dir)) return;
  throw Error(Code::kInvalidArgument, concat("--state-dir: no such directory: ", options.state_dir));
}

void check_origin(const std::string& origin) {
  if (origin == "*" || (origin.find("://") != std::string::npos && !origin.ends_with('/'))) return;
  throw Error(Code::kInvalidArgument, concat("--cors-origin: must be scheme://host[:port] or *, got ", origin));
}

}  // namespace

std::vector<std::string> config_problems(const ServerOptions& options) {
  std::vector<std::string> problems;
  const auto look = [&](const auto& check) {
    try {
      check();
    } catch (const std::exception& error) {
      problems.push_back(error.what());
    }
  };
  look([&] { check_model(options); });
  look([&] { check_state_dir(options); });
  look([&] {
    if (!options.api_keys.empty()) read_api_keys(options.api_keys);
  });
  look([&] {
    if (!options.tls_cert.empty()) read_certificate_set(options.tls_files());
  });
  look([&] {
    if (!options.otlp_endpoint.empty()) parse_collector_url(options.otlp_endpoint);
  });
  if (!options.otlp_metrics_endpoint.empty()) {
    look([&] { metrics_endpoint("", options.otlp_metrics_endpoint); });
  }
  look([&] { check_image_hosts(options.allow_image_hosts); });
  for (const std::string& origin : options.cors_origins) look([&] { check_origin(origin); });
  return problems;
}

}  // namespace sf::server
