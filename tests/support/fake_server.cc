#include "tests/support/fake_server.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "engine/checkpoint/store.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

fs::path make_checkpoint() {
  std::string pattern = (fs::temp_directory_path() / "sf_fake_server_XXXXXX").string();
  const fs::path folder = mkdtemp(pattern.data());
  std::ofstream(folder / "config.json") << "{}";
  write_checkpoint_manifest(folder, {});
  return folder;
}

int count_entries(const char* folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

FakeServer::FakeServer(ServerOptions options, FakeEngineOptions engine_options) : folder_(make_checkpoint()) {
  options.model = folder_;
  options.http_port = options.grpc_port = options.admin_port = 0;
  const auto make_engine = [this, engine_options](const VerifiedCheckpoint&) {
    auto engine = std::make_unique<FakeEngine>(engine_options);
    engine_ = engine.get();
    return engine;
  };
  app_ = std::make_unique<ServerApp>(std::move(options), make_engine, [](const std::string&) {});
  app_->start();
}

FakeServer::~FakeServer() {
  engine_->release_steps();
  app_.reset();
  fs::remove_all(folder_);
}

double FakeServer::metric(const std::string& prefix) {
  std::istringstream lines(app_->service().metrics_text());
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(prefix)) sum += std::stod(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

int count_threads() { return count_entries("/proc/self/task"); }
int count_open_files() { return count_entries("/proc/self/fd"); }

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

}  // namespace sf::server
