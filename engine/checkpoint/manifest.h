// manifest.json: what makes a directory a checkpoint. It names every file with size and sha256, and ends in a checksum
// of itself, so a change of any byte of a checkpoint is detected. Written last. Format: docs/checkpoint_format.md.
//
//   Manifest manifest{.step = 4000, .parent = digest_of_the_version_before};
//   manifest.scores["accuracy"] = 0.991;
//   write_checkpoint_manifest(directory, manifest);  // hashes the files in the directory
//
// Thread-safe: free functions and plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

inline constexpr int kManifestFormatVersion = 1;
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kTrainingStateFolder = "training_state";

struct ManifestFile {
  std::string sha256;  // 64 lower-case hex digits
  int64_t size = 0;
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

struct Manifest {
  int64_t step = 0;
  std::string parent = {};  // digest of the checkpoint that it came from; empty = none
  int64_t created_unix = 0;
  std::map<std::string, double> scores = {};  // on the evaluation set; finite
  // Of the evaluation set, a sha256 in hex: scores of different sets are not to be compared. Empty = not known (older
  // manifests have no such field).
  std::string evaluation_id = {};
  // [layers][experts] tokens of the evaluation set; may be empty.
  std::vector<std::vector<int64_t>> expert_histogram = {};
  // Of those, the image tokens; empty where they were not counted by modality (then the file has no such field).
  std::vector<std::vector<int64_t>> image_expert_histogram = {};
  std::map<std::string, ManifestFile> files = {};           // by plain name, in the directory itself
  std::map<std::string, ManifestFile> training_state = {};  // by plain name, in training_state/; only resume reads them
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// A name that can lie in a checkpoint: letters, digits and "._-", at most 128, no dot first, not manifest.json.
bool is_plain_file_name(std::string_view name);

// The bytes of manifest.json; the same manifest gives the same bytes.
// Errors: InvalidArgument for scores that are not finite, negative counts, or names that are not plain.
std::string manifest_to_json(const Manifest& manifest);

// Errors: DataLoss (field "manifest.json") with the reason; FailedPrecondition for a format_version that is newer.
Manifest parse_manifest(std::string_view bytes);

// Size and sha256 of a file, read piece by piece. Errors: those of file.h.
ManifestFile describe_file(const std::filesystem::path& path);

// Effect: fills in `files` and `training_state` from what lies in `directory` (names with a leading dot and the
// manifest itself left out), writes manifest.json and returns what it holds. A file of `known` is not read again:
// its writer hashed it. Errors: InvalidArgument for a file that a checkpoint cannot hold (symbolic
// link, odd name, a folder other than training_state); those of file.h.
Manifest write_checkpoint_manifest(const std::filesystem::path& directory, Manifest manifest,
                                   const std::map<std::string, ManifestFile>& known = {});

}  // namespace sf
