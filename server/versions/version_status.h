// What is known of each version, of the store's and of those that are still in memory, and what is logged of it.
//
//   VersionStatus status{.version = 7, .state = VersionState::kServed};
//   std::string word = state_name(status.state);                         // "served"
//   log({.version = 7, .result = "failure", .reason = "load", .message = as_text(error.what()), .seconds = 0.2});
//
// Thread-safe: values and free functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/base/utf8.h"

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
// Reason of a version that memory did not suffice for: likewise.
inline constexpr const char* kOutOfMemoryReason = "out_of_memory";
// Reason of a store that is gone or cannot be read.
inline constexpr const char* kStoreReason = "store";
// What is said of a version that waits.
inline constexpr const char* kWaitingForManifest = "waiting for manifest.json";

struct VersionStatus {
  int64_t version = 0;
  VersionState state = VersionState::kAvailable;
  std::string reason = {};   // of model_reloads_total, or "unloaded"; empty for those that did not fail
  std::string message = {};  // names the file, tensor or question at fault
  VersionFacts facts = {};
  bool pinned = false;
};

struct ReloadEvent {
  int64_t version = 0;  // 0: the store or the pin, no version
  std::string result =
      {};  // success, failure, refused; waiting (once), unloaded and recovered (the store): only logged
  std::string reason = {};   // none, verify, load, out_of_memory, machine_fault, warmup, canary, score, pin, store
  std::string message = {};  // names the file, tensor or question at fault
  double seconds = 0;
};
using ReloadLog = std::function<void(const ReloadEvent&)>;

// A message may quote a file's bytes, and every API sends text.
inline std::string as_text(std::string bytes) { return take_whole_utf8(bytes); }

}  // namespace sf::server
