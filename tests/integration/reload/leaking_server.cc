// A server that frees no version: it keeps the bytes of every checkpoint that it loads. Tests of memory have to fail on
// it; it is built for them alone and never installed.
#include <csignal>
#include <vector>

#include "engine/base/flags.h"
#include "engine/runtime/torch_engine.h"
#include "server/app/memory_arenas.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"
#include "server/app/version.h"

namespace {

int serve(const sf::server::ServerOptions& options) {
  sf::server::use_few_memory_arenas();
  std::vector<sf::VerifiedCheckpoint> kept;  // copies share the bytes
  sf::TorchEngineOptions engine;
  engine.threads = options.threads;
  engine.prefix_cache = options.prefix_cache;
  const auto factory = [&kept, engine](const sf::VerifiedCheckpoint& checkpoint) {
    kept.push_back(checkpoint);
    return sf::make_torch_engine(checkpoint, engine);
  };
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  sf::server::ServerApp app(options, factory, [](const std::string&) {});
  app.start();
  int signal = 0;
  sigwait(&signals, &signal);
  app.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sf::server::ServerOptions options;
  return sf::run_program({"leaking-server", "A test's own", sf::server::kProgramVersion}, argc, argv,
                         [&](CLI::App& app) { sf::server::add_server_flags(app, options); },
                         [&](const CLI::App&) { return serve(options); });
}
