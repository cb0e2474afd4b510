// A store: one directory per version, published by a rename, so that a reader sees a version whole or not at all.
//
//   fs::path directory = begin_version(root, version);    // the trainer: root/.12.tmp
//   write_checkpoint_manifest(directory, manifest);       // after its other files
//   publish_version(root, version);                       // fsync, then rename to root/12
//   for (const StoreVersion& v : list_versions(root)) use(v.path);  // the server
//
// Thread-safe; several processes may use one store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace sf {

struct StoreVersion {
  int64_t number = 0;
  std::filesystem::path path;
  friend bool operator==(const StoreVersion&, const StoreVersion&) = default;
};

// Effect: the versions by ascending number; empty where `root` does not exist. A version is a directory (no link) whose
// name is a positive integer, zero-padded or not; others are ignored. Of two names for one number the longer counts.
// Errors: those of throw_errno() where `root` cannot be read, which is not the same as empty. Every function below that
// looks for versions has them too.
std::vector<StoreVersion> list_versions(const std::filesystem::path& root);

// One more than the highest version; 1 for an empty store.
int64_t next_version(const std::filesystem::path& root);

// Effect: makes root/.<version>.tmp, empty, removing what a killed trainer left there; makes `root` where it is
// missing. Errors: InvalidArgument for a version below 1; AlreadyExists for one that is published.
std::filesystem::path begin_version(const std::filesystem::path& root, int64_t version);

// Effect: fsync of all files and directories in root/.<version>.tmp, rename to root/<version>, fsync of the root. After
// it returns the version survives a power cut; before the rename it is not visible. Errors: FailedPrecondition where
// the directory has no manifest; AlreadyExists where the version is published (it stays as it is); NotFound.
StoreVersion publish_version(const std::filesystem::path& root, int64_t version);

// Effect: removes all but the `keep` highest versions, but none of `in_use` and none that a process holds with a
// VersionLock; first renamed out of sight, then deleted. Also clears away what an interrupted prune left. Returns the
// numbers that were removed. REQUIRES: keep >= 1.
std::vector<int64_t> prune_store(const std::filesystem::path& root, int keep, const std::set<int64_t>& in_use);

// Effect: copies the checkpoint into the store as version 1 where the store has no version, and returns whether it did.
// The checkpoint is verified and the verified bytes are written. Two processes may do this at once: one of them copies.
// Errors: those of open_checkpoint and of file.h.
bool bootstrap_store(const std::filesystem::path& root, const std::filesystem::path& checkpoint);

}  // namespace sf
