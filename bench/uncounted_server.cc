// The server with an engine that counts nothing of its experts: what bench/metrics.sh measures the real one against.
// Never installed.
#include "engine/runtime/torch_engine.h"
#include "tests/support/server_program.h"

int main(int argc, char** argv) {
  return sf::server::run_server_program("uncounted-server", argc, argv, [](const sf::server::ServerOptions& options) {
    sf::TorchEngineOptions engine;
    engine.threads = options.threads;
    engine.prefix_cache = false;
    engine.count_experts = false;
    return [engine](const sf::VerifiedCheckpoint& checkpoint) { return sf::make_torch_engine(checkpoint, engine); };
  });
}
