#include "engine/checkpoint/checkpoint_reader.h"

#include <filesystem>
#include <memory>
#include <string>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/sha256.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxManifestBytes = 16 << 20;

bool exists_or_throw(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(directory, error);
  if (error && is_machine_errno(error.value())) {
    throw_errno(concat("file: cannot stat '", directory.string(), "'"), error.value());
  }
  return fs::exists(status);
}

// The bytes of one file that the manifest describes; every failure names the file.
std::string read_verified(const fs::path& path, const std::string& name, const ManifestFile& expected) {
  const auto fail = [&](const auto&... reason) { throw Error(Code::kDataLoss, concat(name, ": ", reason...), name); };
  std::string bytes;
  try {
    bytes = read_file(path, expected.size);
  } catch (const Error& error) {
    if (is_machine_fault(error)) throw_prefixed(name + ": ", error);
    if (error.code() != Code::kNotFound) fail(error.what());
    // Where the directory is gone as well, the checkpoint was removed while it was read.
    if (!exists_or_throw(path.parent_path())) throw_prefixed(name + ": ", error);
    fail("file is missing");
  }
  if (static_cast<int64_t>(bytes.size()) != expected.size) {
    fail("truncated, ", bytes.size(), " bytes instead of ", expected.size);
  }
  if (sha256_hex(bytes) != expected.sha256) fail("sha256 does not match the manifest");
  return bytes;
}

}  // namespace

std::shared_ptr<const std::string> VerifiedCheckpoint::shared_file(const std::string& name) const {
  const auto found = files_.find(name);
  if (found == files_.end()) throw Error(Code::kDataLoss, name + ": file is not part of the checkpoint", name);
  return found->second;
}

VerifiedCheckpoint open_checkpoint(const fs::path& directory) {
  VerifiedCheckpoint checkpoint;
  checkpoint.path_ = directory.string();
  checkpoint.manifest_bytes_ = read_file(directory / kManifestName, kMaxManifestBytes);
  checkpoint.digest_ = sha256_hex(checkpoint.manifest_bytes_);
  checkpoint.manifest_ = parse_manifest(checkpoint.manifest_bytes_);
  for (const auto& [name, expected] : checkpoint.manifest_.files) {
    checkpoint.files_[name] = std::make_shared<const std::string>(read_verified(directory / name, name, expected));
  }
  return checkpoint;
}

std::string read_training_state(const fs::path& directory, const Manifest& manifest, const std::string& name) {
  const auto found = manifest.training_state.find(name);
  if (found == manifest.training_state.end())
    throw Error(Code::kDataLoss, name + ": training state is not part of the checkpoint", name);
  const fs::path folder = directory / kTrainingStateFolder;
  if (fs::is_symlink(folder))
    throw Error(Code::kDataLoss, name + ": the folder training_state is a symbolic link", name);
  return read_verified(folder / name, name, found->second);
}

}  // namespace sf
