#include "engine/checkpoint/store.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/checkpoint/version_lock.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnfinishedSuffix = ".tmp";
constexpr const char* kPrunedSuffix = ".pruned";

// The number that a folder name stands for; nothing for names that are no positive integer of 63 bits.
std::optional<int64_t> version_of(const std::string& name) {
  const bool digits =
      !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  int64_t number = 0;
  const auto result = std::from_chars(name.data(), name.data() + name.size(), number);
  if (result.ec != std::errc() || number < 1) return std::nullopt;
  return number;
}

fs::path unfinished_path(const fs::path& root, int64_t version) {
  return root / concat(".", version, kUnfinishedSuffix);
}

bool is_published(const fs::path& root, int64_t version) {
  const std::vector<StoreVersion> versions = list_versions(root);
  return std::any_of(versions.begin(), versions.end(), [&](const StoreVersion& v) { return v.number == version; });
}

[[noreturn]] void fail_published(int64_t version) {
  throw Error(Code::kAlreadyExists, concat("store: version is published already, ", version));
}

void rename_without_replacing(const fs::path& from, const fs::path& to, int64_t version) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST || errno == ENOTEMPTY) fail_published(version);
  // Network file systems know no flags; a plain rename still refuses a directory that holds anything.
  if ((errno == EINVAL || errno == ENOSYS) && ::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno == EEXIST || errno == ENOTEMPTY) fail_published(version);
  throw_errno(concat("store: cannot rename '", from.string(), "'"), errno);
}

void remove_leftovers(const fs::path& root) {
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(kPrunedSuffix)) fs::remove_all(entry.path());
  }
}

// True where the entry's type cannot be found out: reading it then says why.
bool may_be_directory(const fs::directory_entry& entry) {
  std::error_code error;
  const fs::file_status status = entry.symlink_status(error);
  return fs::is_directory(status) || (error && is_machine_errno(error.value()));
}

}  // namespace

std::vector<StoreVersion> list_versions(const fs::path& root) {
  std::vector<StoreVersion> versions;
  std::error_code error;
  // A version may vanish while the directory is being read; the iterator copes, and so does what opens it.
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    const std::optional<int64_t> number = version_of(it->path().filename().string());
    if (number && may_be_directory(*it)) versions.push_back({*number, it->path()});
  }
  // A directory that cannot be read is not an empty one.
  if (error && error != std::errc::no_such_file_or_directory) {
    throw_errno(concat("store: cannot read '", root.string(), "'"), error.value());
  }
  std::sort(versions.begin(), versions.end(), [](const StoreVersion& a, const StoreVersion& b) {
    const size_t a_length = a.path.native().size(), b_length = b.path.native().size();
    return std::pair(a.number, b_length) < std::pair(b.number, a_length);
  });
  const auto same = [](const StoreVersion& a, const StoreVersion& b) { return a.number == b.number; };
  versions.erase(std::unique(versions.begin(), versions.end(), same), versions.end());
  return versions;
}

int64_t next_version(const fs::path& root) {
  const std::vector<StoreVersion> versions = list_versions(root);
  return versions.empty() ? 1 : versions.back().number + 1;
}

fs::path begin_version(const fs::path& root, int64_t version) {
  SF_REQUIRE(version >= 1, "store: version must be at least 1, got ", version);
  fs::create_directories(root);
  if (is_published(root, version)) fail_published(version);
  const fs::path directory = unfinished_path(root, version);
  fs::remove_all(directory);
  fs::create_directory(directory);
  return directory;
}

StoreVersion publish_version(const fs::path& root, int64_t version) {
  const fs::path from = unfinished_path(root, version);
  const fs::path to = root / std::to_string(version);
  if (!fs::is_directory(from)) throw Error(Code::kNotFound, concat("store: nothing to publish, '", from.string(), "'"));
  if (!fs::exists(from / kManifestName)) {
    throw Error(Code::kFailedPrecondition, concat("store: version has no manifest, ", version));
  }
  if (is_published(root, version)) fail_published(version);
  sync_tree(from);
  rename_without_replacing(from, to, version);
  sync_directory(root);
  return {version, to};
}

std::vector<int64_t> prune_store(const fs::path& root, int keep, const std::set<int64_t>& in_use) {
  SF_REQUIRE(keep >= 1, "store: at least one version must be kept, got ", keep);
  std::vector<int64_t> removed;
  std::vector<StoreVersion> versions = list_versions(root);
  if (versions.empty()) return removed;
  remove_leftovers(root);
  versions.resize(versions.size() - std::min(versions.size(), static_cast<size_t>(keep)));
  for (const StoreVersion& version : versions) {
    if (in_use.contains(version.number)) continue;
    const std::optional<VersionLock> lock = VersionLock::try_exclusive(version.path);
    if (!lock) continue;
    const fs::path hidden = root / concat(".", version.path.filename().string(), kPrunedSuffix);
    fs::rename(version.path, hidden);
    fs::remove_all(hidden);
    removed.push_back(version.number);
  }
  if (!removed.empty()) sync_directory(root);
  return removed;
}

bool bootstrap_store(const fs::path& root, const fs::path& checkpoint) {
  fs::create_directories(root);
  const VersionLock lock = VersionLock::exclusive(root);  // one process seeds at a time
  if (!list_versions(root).empty()) return false;
  const VerifiedCheckpoint seed = open_checkpoint(checkpoint);
  const fs::path directory = begin_version(root, 1);
  for (const auto& [name, file] : seed.manifest().files) write_file(directory / name, seed.file(name));
  if (!seed.manifest().training_state.empty()) fs::create_directory(directory / kTrainingStateFolder);
  for (const auto& [name, file] : seed.manifest().training_state) {
    write_file(directory / kTrainingStateFolder / name, read_training_state(checkpoint, seed.manifest(), name));
  }
  write_file(directory / kManifestName, seed.manifest_bytes());
  publish_version(root, 1);
  return true;
}

}  // namespace sf
