#pragma once

#include "server/versions/checkpoint_source.h"
#include "server/versions/model_slot.h"
#include "server/versions/reloader.h"

namespace sf::server::examples_server_versions {

extern ModelSlot slot;
extern VersionSource& source;
extern const EngineFactory factory;
extern const ReloaderOptions options;
extern const ServingDeps deps;
extern const Reloader::Log log;
extern Metrics metrics;
extern const Clock& clock;
extern const VerifiedCheckpoint checkpoint;
extern std::unique_ptr<Engine> engine;
extern std::unique_ptr<Candidate> candidate;
std::unique_ptr<Engine> load();

}  // namespace sf::server::examples_server_versions
