// Which processes use a version of a store. A server holds a shared lock on the version's directory from before it
// reads the first byte until the version is freed; a trainer removes a version only under the exclusive lock. The
// kernel drops a lock with the process that holds it, so a crash leaves nothing behind, and a read-only mount suffices
// to hold one.
//
//   VersionLock in_use = VersionLock::hold(store / "12");  // in a server: kept beside the model
//
// The functions are thread-safe; a lock belongs to one thread at a time.
#pragma once

#include <filesystem>
#include <optional>

#include "engine/base/file.h"

namespace sf {

// Movable; unlocks when destroyed.
class VersionLock {
 public:
  // Effect: takes the shared lock; waits for a prune in progress. Errors: NotFound where the directory is gone (also if
  // it went while waiting); Unimplemented where the file system has no locks; those of throw_errno().
  static VersionLock hold(const std::filesystem::path& directory);
  // Effect: takes the exclusive lock, or gives nothing at once where anyone holds one or the directory is gone.
  static std::optional<VersionLock> try_exclusive(const std::filesystem::path& directory);
  // Effect: takes the exclusive lock; waits for it. Errors: as hold.
  static VersionLock exclusive(const std::filesystem::path& directory);

 private:
  explicit VersionLock(FileDescriptor directory) : directory_(std::move(directory)) {}
  FileDescriptor directory_;
};

}  // namespace sf
