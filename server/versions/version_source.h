// Where versions come from, as the catalog and the loader see it: a store that a trainer publishes into, one directory,
// or a test.
//
//   for (const int64_t version : source.versions()) {
//     const std::shared_ptr<const void> hold = source.hold(version);     // the trainer does not prune it meanwhile
//     std::unique_ptr<Engine> loaded = source.open(version)->load();
//   }
//
// One thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/versions/golden.h"
#include "server/versions/version_status.h"

namespace sf::server {

// One version whose every byte was read and verified; what it loads are those bytes.
class Candidate {
 public:
  virtual ~Candidate() = default;
  virtual std::optional<double> score() const = 0;  // of the manifest; nothing where it has none
  // What the score was measured on; empty where the manifest does not say.
  virtual std::string evaluation_id() const { return ""; }
  // What the golden check asks; empty where the version brings nothing. Errors: those of parse_golden.
  virtual std::vector<GoldenImage> golden() const = 0;
  // Errors: ResourceExhausted or bad_alloc where memory is short, a fault of the machine (both may work later);
  // anything else says that the version is no good.
  virtual std::unique_ptr<Engine> load() = 0;
};

// One thread only.
class VersionSource {
 public:
  virtual ~VersionSource() = default;
  // Positive numbers, any order. Errors: where the store cannot be read or is gone.
  virtual std::vector<int64_t> versions() = 0;
  // Changes when a version's files are replaced, so that a repaired one is tried again; empty where it cannot be found
  // out now. Never throws.
  virtual std::string fingerprint(int64_t version) = 0;
  // What the manifest says of a version, read without verifying its files; nothing where it cannot be read now. Never
  // throws.
  virtual std::optional<VersionFacts> facts(int64_t version) = 0;
  // Whether the version's folder has no manifest, which is written last: nothing is wrong yet. Never throws.
  virtual bool waiting(int64_t) { return false; }
  // While the value lives, the trainer does not prune the version.
  virtual std::shared_ptr<const void> hold(int64_t version) = 0;
  // Errors: NotFound if it is gone; a fault of the machine (machine_fault.h), which may pass; anything else says what
  // is wrong with its files.
  virtual std::unique_ptr<Candidate> open(int64_t version) = 0;
};

}  // namespace sf::server
