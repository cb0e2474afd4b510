// The server with an engine that counts nothing of its experts: what bench/metrics.sh measures the real one against. Never
// installed.
#include <csignal>

#include "engine/base/flags.h"
#include "engine/runtime/torch_engine.h"
#include "server/app/memory_arenas.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"
#include "server/app/version.h"

namespace {

int serve(const sf::server::ServerOptions& options) {
  sf::server::use_few_memory_arenas();
  sf::TorchEngineOptions engine;
  engine.threads = options.threads;
  engine.prefix_cache = false;
  engine.count_experts = false;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  sf::server::ServerApp app(
      options, [engine](const sf::VerifiedCheckpoint& checkpoint) { return sf::make_torch_engine(checkpoint, engine); },
      [](const std::string&) {});
  app.start();
  int signal = 0;
  sigwait(&signals, &signal);
  app.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sf::server::ServerOptions options;
  return sf::run_program({"uncounted-server", "A bench's own", sf::server::kProgramVersion}, argc, argv,
                         [&](CLI::App& app) { sf::server::add_server_flags(app, options); },
                         [&](const CLI::App&) { return serve(options); });
}
