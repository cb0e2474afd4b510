// Versions on disk: a store that a trainer publishes into, or one checkpoint directory that never changes.
//
//   std::unique_ptr<VersionSource> versions = open_checkpoint_source("/models/store", factory);
//   Reloader reloader({}, *versions, slot, deps, log);
//
// What is loaded are the bytes that were verified: the files are read once, into memory. Thread-safe: free functions;
// the source itself, like any, one thread only.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine/checkpoint/checkpoint_reader.h"
#include "server/versions/version_source.h"

namespace sf::server {

// Errors: ResourceExhausted or bad_alloc where memory is short; anything else for a checkpoint that is no good.
using EngineFactory = std::function<std::unique_ptr<Engine>(const VerifiedCheckpoint&)>;

// A directory with a manifest is a checkpoint, anything else a store. Errors: those of throw_errno() for a fault of the
// machine.
bool is_checkpoint_directory(const std::filesystem::path& path);

// REQUIRES: one thread, like any VersionSource.
std::unique_ptr<VersionSource> open_checkpoint_source(const std::filesystem::path& path, EngineFactory factory);

// The one number by which versions are compared: the score named "score", else "accuracy", else the mean of all;
// nothing without scores.
std::optional<double> headline_score(const std::map<std::string, double>& scores);

// The number of a directory's last name, zero-padding allowed; nothing for any other name.
std::optional<int64_t> version_of_name(const std::filesystem::path& directory);

}  // namespace sf::server
