// What operators see and command, on every API: which versions there are, which one answers, what its experts do.
//
//   for (const VersionStatus& row : admin.versions()) use(row.version, state_name(row.state));
//   const int64_t served = admin.rollback();
//
// Thread-safe. The commands block until they are done, which takes as long as a load.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/metrics/expert_loads.h"
#include "server/versions/version_status.h"

namespace sf::server {

class ModelAdmin {
 public:
  virtual ~ModelAdmin() = default;

  // By ascending number: all of the store's, and those that are still in memory.
  virtual std::vector<VersionStatus> versions() const = 0;
  // Of the served version; nothing while there is none.
  virtual std::optional<ExpertLoads> expert_loads() const = 0;

  // --- Errors: those of the reloader's command of the same name. Each returns the version that is served then. ---
  virtual int64_t load(int64_t version) = 0;
  virtual int64_t pin(int64_t version) = 0;  // 0: the one served now
  virtual int64_t unpin() = 0;               // 0 while nothing is served
  virtual int64_t rollback() = 0;
  virtual int64_t load_newest() = 0;
  virtual void unload() = 0;
  // At once: nothing is served because an operator said so.
  virtual bool is_unloaded() const = 0;
};

}  // namespace sf::server
