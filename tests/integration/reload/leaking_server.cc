// A server that frees no version: it keeps the bytes of every checkpoint that it loads. Tests of memory have to fail on
// it; it is built for them alone and never installed.
#include <vector>

#include "engine/runtime/torch_engine.h"
#include "tests/support/server_program.h"

int main(int argc, char** argv) {
  std::vector<sf::VerifiedCheckpoint> kept;  // copies share the bytes
  return sf::server::run_server_program("leaking-server", argc, argv, [&](const sf::server::ServerOptions& options) {
    sf::TorchEngineOptions engine;
    engine.threads = options.threads;
    engine.prefix_cache = options.prefix_cache;
    return [&kept, engine](const sf::VerifiedCheckpoint& checkpoint) {
      kept.push_back(checkpoint);
      return sf::make_torch_engine(checkpoint, engine);
    };
  });
}
