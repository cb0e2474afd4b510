// A checkpoint directory, read and verified in one go. The bytes that were hashed are the bytes that are used: files
// are copied into memory, not mapped, so nothing that happens on disk afterwards can reach the model.
//
//   VerifiedCheckpoint checkpoint = open_checkpoint(store / "12");
//   Safetensors weights = Safetensors::parse(checkpoint.file("model.safetensors"), "model.safetensors");
//
// Thread-safe; a VerifiedCheckpoint is immutable, and its copies share the bytes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/checkpoint/manifest.h"

namespace sf {

class VerifiedCheckpoint {
 public:
  const Manifest& manifest() const { return manifest_; }
  // manifest.json as it was read.
  const std::string& manifest_bytes() const { return manifest_bytes_; }
  // sha256 over the bytes of manifest.json: the identity of this checkpoint, and the key of every cache.
  const std::string& digest() const { return digest_; }
  // The directory's path as given, for messages.
  const std::string& path() const { return path_; }
  bool has_file(const std::string& name) const { return files_.contains(name); }
  // Errors: DataLoss (field = the name) where the manifest does not name the file. The view lives as long as the object
  // or shared_file().
  std::string_view file(const std::string& name) const { return *shared_file(name); }
  std::shared_ptr<const std::string> shared_file(const std::string& name) const;

 private:
  friend VerifiedCheckpoint open_checkpoint(const std::filesystem::path& directory);
  std::string path_;
  std::string manifest_bytes_;
  std::string digest_;
  Manifest manifest_;
  std::map<std::string, std::shared_ptr<const std::string>> files_;
};

// Effect: reads the manifest and every file that it names (training state excepted), and checks sizes and digests.
// Blocks. Errors: NotFound where there is no manifest; DataLoss with the file's name (also as the field) and the
// reason; FailedPrecondition for a newer format; a fault of the machine (machine_fault.h) as such.
VerifiedCheckpoint open_checkpoint(const std::filesystem::path& directory);

// Effect: reads and verifies one file of training_state/. Errors: as open_checkpoint.
std::string read_training_state(const std::filesystem::path& directory, const Manifest& manifest,
                                const std::string& name);

}  // namespace sf
