// The model repository of the Open Inference Protocol: which versions there are, loading and unloading, for REST and
// gRPC. Both names (model_spec.h) are of one model: to load or unload one is to load or unload both.
//
//   for (const RepositoryEntry& entry : repository_index(service, false)) ...
//   change_repository(service, RepositoryChange::kUnload, "sparsefusion_stream");
//
// Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/service/service.h"

namespace sf::server {

inline constexpr const char* kRepositoryReady = "READY";
inline constexpr const char* kRepositoryLoading = "LOADING";
inline constexpr const char* kRepositoryUnavailable = "UNAVAILABLE";

struct RepositoryEntry {
  std::string name;
  std::string version;  // empty in the one row of a model that has no version to show
  std::string state;    // READY, LOADING or UNAVAILABLE
  std::string reason;   // why it is unavailable: "unloaded", "retired", "canary: 1 of 36 answers differ ..."
};

// Of each name every version that serves, loads, was refused, retires or was unloaded; not those that were never tried.
// At least one row a name. With `only_ready` the READY rows alone, which may be none. Errors: NotFound for a service
// that has no versions.
std::vector<RepositoryEntry> repository_index(const Service& service, bool only_ready);

enum class RepositoryChange {
  kLoad,    // the store is looked at, and its newest valid version serves
  kUnload,  // nothing serves until the next load
};

// Effect: as Reloader::load_newest and unload. Blocks as long. Returns the version that serves then, 0 for none.
// Errors: NotFound for a model that is not here; those of the reloader.
int64_t change_repository(Service& service, RepositoryChange change, std::string_view model);

// The one parameter that does nothing and is taken: there are no dependents. A bool.
inline constexpr const char* kUnloadDependents = "unload_dependents";

// Whether the change takes a parameter of this name. Errors: InvalidArgument that names it where it is refused.
void check_repository_parameter(RepositoryChange change, const std::string& name);

// Why load and unload are refused on ports that ask for no keys.
Error repository_is_admin();

}  // namespace sf::server
