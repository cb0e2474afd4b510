// The server as a program of a test's or a bench's own, with another engine than the real one has. It logs as the real
// one does and does not drain.
//
//   int main(int argc, char** argv) {
//     return run_server_program("odd-server", argc, argv, [](const ServerOptions& options) { return
//     factory_of(options); });
//   }
#pragma once

#include <csignal>
#include <functional>
#include <string>

#include "engine/base/flags.h"
#include "engine/base/log.h"
#include "server/app/memory_arenas.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"
#include "server/app/version.h"

namespace sf::server {

// Effect: serves by the server's own flags until SIGTERM. Returns the exit status.
inline int run_server_program(const std::string& name, int argc, char** argv,
                              const std::function<EngineFactory(const ServerOptions&)>& make_factory) {
  ServerOptions options;
  const auto serve = [&](const CLI::App&) {
    use_few_memory_arenas();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ServerApp app(options, make_factory(options), write_log_line);
    app.start();
    int signal = 0;
    sigwait(&signals, &signal);
    app.stop();
    return kExitSuccess;
  };
  return run_program(
      {name, "A test's or a bench's own", kProgramVersion}, argc, argv,
      [&](CLI::App& app) { add_server_flags(app, options); }, serve);
}

}  // namespace sf::server
