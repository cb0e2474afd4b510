// What is known of each version: of the store's, and of those that are still in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sf::server {

enum class VersionState {
  kServed,       // answers new requests
  kLoading,      // is being verified, loaded, warmed up or asked its golden questions
  kAvailable,    // in the store, not in memory
  kQuarantined,  // was tried and refused: `reason` and `message` say why; tried again when its files change
  kRetired,      // finishes the requests that began on it
};

// "served" ...
inline const char* state_name(VersionState state) {
  switch (state) {
    case VersionState::kServed:
      return "served";
    case VersionState::kLoading:
      return "loading";
    case VersionState::kAvailable:
      return "available";
    case VersionState::kQuarantined:
      return "quarantined";
    case VersionState::kRetired:
      return "retired";
  }
  return "available";
}

// As the manifest says, which is not verified before the version is loaded.
struct VersionFacts {
  std::string digest;  // empty where the manifest cannot be read
  int64_t step = 0;
  int64_t created_unix = 0;
  std::optional<double> score;
  std::string evaluation_id = {};  // what the score was measured on; empty where the manifest does not say
  friend bool operator==(const VersionFacts&, const VersionFacts&) = default;
};

// Reason and message of the version that served when an operator unloaded the model.
inline constexpr const char* kUnloadedReason = "unloaded";
inline constexpr const char* kUnloaded = "nothing is served until an operator loads a version";

// Reason of a version that a fault of the machine keeps from being tried to its end: it is tried again.
inline constexpr const char* kMachineFaultReason = "machine_fault";
// Reason of a store that is gone or cannot be read.
inline constexpr const char* kStoreReason = "store";

struct VersionStatus {
  int64_t version = 0;
  VersionState state = VersionState::kAvailable;
  std::string reason;   // of model_reloads_total, or "unloaded"; empty for those that did not fail
  std::string message;  // names the file, tensor or question at fault
  VersionFacts facts;
  bool pinned = false;
};

}  // namespace sf::server
