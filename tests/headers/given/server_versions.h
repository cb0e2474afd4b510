#pragma once

#include "engine/base/yield_to_requests.h"
#include "server/versions/checkpoint_source.h"
#include "server/versions/reloader.h"
#include "tests/headers/given/common.h"

namespace sf::server::examples_server_versions {

extern std::unique_ptr<sf::Engine> engine;
extern std::unique_ptr<sf::server::Job> job;
extern const std::unique_ptr<sf::server::Candidate> candidate;
extern const sf::VerifiedCheckpoint& checkpoint;
extern const sf::server::EngineFactory factory;
extern sf::server::VersionSource& source;
extern sf::server::Catalog catalog;
extern sf::server::Loader loader;
extern sf::server::ModelSlot slot;
extern sf::server::Metrics metrics;
extern const sf::server::SystemClock clock;
extern const sf::server::ServingDeps deps;
extern const sf::server::ReloadLog log;
extern const std::shared_ptr<const void> hold;
extern const std::optional<double> score;
extern const std::exception& error;
extern const int prompt_tokens;

}  // namespace sf::server::examples_server_versions
