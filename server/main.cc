// sparsefusion-server: answers questions about images over REST and gRPC. The only file of the server that knows
// which engine it serves; server/app wires the rest.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "engine/base/backoff.h"
#include "engine/base/flags.h"
#include "engine/base/log.h"
#include "engine/base/wait_policy.h"
#include "engine/runtime/torch_engine.h"
#include "server/app/check_config.h"
#include "server/app/memory_arenas.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"
#include "server/app/version.h"
#include "server/auth/api_keys.h"
#include "server/connections/listening_socket.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

// The demo beside an installed program (PREFIX/bin) or in the source tree of a build (build/PRESET/bin); empty if
// neither.
std::string bundled_model() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path : {program / "../share/sparsefusion/models/demo", program / "../../../models/demo"}) {
    if (fs::is_regular_file(path / kManifestName, error)) return path.lexically_normal().string();
  }
  return "";
}

EngineFactory engine_factory(const ServerOptions& options) {
  TorchEngineOptions engine;
  engine.device = options.device;
  engine.threads = options.threads;
  engine.max_context = options.max_context;
  engine.kv_cache_mib = options.kv_cache_mib;
  engine.capacity_mode = options.capacity_mode;
  engine.prefix_cache = options.prefix_cache;
  engine.capacity_factor = options.capacity_factor;
  engine.image_limits.max_bytes = options.max_image_bytes;
  engine.image_limits.max_pixels = options.max_image_pixels;
  engine.image_limits.max_decode_bytes = options.max_decode_mib << 20;
  return [engine](const VerifiedCheckpoint& checkpoint) { return make_torch_engine(checkpoint, engine); };
}

// SIGTERM, SIGINT and SIGHUP wait until somebody asks for them, on every thread that starts afterwards.
sigset_t hold_back_signals() {
  std::signal(SIGPIPE, SIG_IGN);  // a client that hangs up is an error of its connection, not of the server
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Finishes what was admitted. A second signal ends the process at once.
void drain(ServerApp& app, const sigset_t& signals, double timeout_s) {
  app.begin_drain();
  const timespec now{};
  const double step_s = 0.05;
  for (double waited_s = 0; waited_s < timeout_s; waited_s += step_s) {
    if (app.wait_idle(step_s)) return;
    const int second = sigtimedwait(&signals, nullptr, &now);
    if (second > 0 && second != SIGHUP) std::_Exit(128 + second);
  }
}

// Returns at SIGTERM or SIGINT. After a SIGHUP that a fault of the machine spoiled the files are read again, ever less
// often: a key that was taken away must not stay in force because too many files were open for a moment.
void wait_for_end(ServerApp& app, const sigset_t& signals) {
  Backoff backoff(1, 60);
  bool retry = false;
  while (true) {
    const timespec wait{retry ? static_cast<time_t>(backoff.next_s()) : 0, 0};
    const int signal = retry ? sigtimedwait(&signals, nullptr, &wait) : sigwaitinfo(&signals, nullptr);
    if (signal < 0 && errno == EINTR) continue;
    if (signal > 0 && signal != SIGHUP) return;
    if (signal == SIGHUP) backoff.reset();
    retry = !app.reload_files();
  }
}

int serve(const ServerOptions& options) {
  use_few_memory_arenas();
  raise_open_file_limit();
  const sigset_t signals = hold_back_signals();
  ServerApp app(options, engine_factory(options), write_log_line);
  app.start();
  std::cout << "sparsefusion-server " << kProgramVersion << " " << app.ready_line() << std::flush;
  wait_for_end(app, signals);
  drain(app, signals, options.drain_timeout_s);
  app.stop();
  return kExitSuccess;
}

int check(const ServerOptions& options) {
  const std::vector<std::string> problems = config_problems(options);
  for (const std::string& problem : problems) std::cerr << "sparsefusion-server: " << problem << std::endl;
  if (!problems.empty()) return kExitUsage;
  std::cout << "the configuration is valid" << std::endl;
  return kExitSuccess;
}

int hash_key() {
  std::string key;
  std::getline(std::cin, key);
  if (key.ends_with('\r')) key.pop_back();
  const std::string wrong = wrong_with_key(key);
  if (!wrong.empty()) throw Error(Code::kInvalidArgument, "--hash-key: the key on standard input: " + wrong);
  std::cout << hash_api_key(key) << std::endl;
  return kExitSuccess;
}

int run(const ServerOptions& options) {
  if (options.hash_key) return hash_key();
  return options.check_config ? check(options) : serve(options);
}

}  // namespace
}  // namespace sf::server

int main(int argc, char** argv) {
  sf::wait_without_spinning(argv);
  sf::server::ServerOptions options;
  options.bootstrap_model = options.model = sf::server::bundled_model();
  return sf::run_program(
      {"sparsefusion-server", "Answers questions about pictures over REST and gRPC", sf::server::kProgramVersion}, argc,
      argv, [&](CLI::App& app) { sf::server::add_server_flags(app, options); },
      [&](const CLI::App&) { return sf::server::run(options); });
}
