#include "engine/checkpoint/manifest.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/sha256.h"

namespace sf {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();
constexpr size_t kMaxNameLength = 128;
constexpr int64_t kMaxFileBytes = int64_t{1} << 40;
const std::string kName = kManifestName;
const std::string kNoChecksum(64, '0');
// The manifest ends in exactly this: the checksum is that of the whole text with 64 zeros in its place.
const std::string kTailBefore = "\"manifest_sha256\": \"";
const std::string kTailAfter = "\"\n}\n";

template <typename... Args>
[[noreturn]] void fail(const Args&... reason) {
  throw Error(Code::kDataLoss, concat(kName, ": ", reason...), kName);
}

Json files_to_json(const std::map<std::string, ManifestFile>& files) {
  Json object = Json::object();
  for (const auto& [name, file] : files) {
    SF_REQUIRE(is_plain_file_name(name), "manifest: file name is not plain, '", name, "'");
    SF_REQUIRE(is_sha256_hex(file.sha256) && file.size >= 0, "manifest: size or sha256 is missing, '", name, "'");
    object[name] = {{"sha256", file.sha256}, {"size", file.size}};
  }
  return object;
}

std::map<std::string, ManifestFile> files_from_json(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) fail("'", key, "' must be an object");
  std::map<std::string, ManifestFile> files;
  for (const auto& [name, entry] : object.items()) {
    if (!is_plain_file_name(name)) fail("'", key, "' names a file that is not plain, '", name, "'");
    ManifestFile file{json_string(entry, "sha256", kName), json_int(entry, "size", 0, kMaxFileBytes, kName)};
    if (!is_sha256_hex(file.sha256)) fail("sha256 of '", name, "' is no digest");
    if (entry.size() != 2) fail("'", name, "' has unknown fields");
    files.emplace(name, file);
  }
  return files;
}

std::vector<std::vector<int64_t>> histogram_from_json(const nlohmann::json& layers, const std::string& name) {
  auto require = [&](bool condition, const char* what) {
    if (!condition) fail("'" + name + "' must " + what);
  };
  require(layers.is_array(), "be a list");
  std::vector<std::vector<int64_t>> histogram;
  for (const auto& layer : layers) {
    require(layer.is_array(), "hold lists");
    histogram.emplace_back();
    for (const auto& count : layer) {
      require(count.is_number_integer() && count >= 0 && count <= kMaxInt, "hold counts");
      histogram.back().push_back(count.get<int64_t>());
    }
    require(histogram.back().size() == histogram.front().size(), "be a rectangle");
  }
  return histogram;
}

// Whether `part` counts some of what `whole` counts.
bool is_part_of(const std::vector<std::vector<int64_t>>& part, const std::vector<std::vector<int64_t>>& whole) {
  return std::equal(part.begin(), part.end(), whole.begin(), whole.end(), [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](int64_t x, int64_t y) { return x >= 0 && x <= y; });
  });
}

void check_format_version(const nlohmann::json& object) {
  const int64_t version = json_int(object, "format_version", 1, kMaxInt, kName);
  if (version > kManifestFormatVersion) {
    throw Error(Code::kFailedPrecondition,
                concat(kName, ": format_version ", version, " is newer than ", kManifestFormatVersion,
                       ", the newest known here"),
                kName);
  }
}

void check_checksum(std::string_view bytes) {
  const size_t tail_size = kTailBefore.size() + kNoChecksum.size() + kTailAfter.size();
  if (bytes.size() < tail_size) fail("truncated");
  const std::string_view tail = bytes.substr(bytes.size() - tail_size);
  if (!tail.starts_with(kTailBefore) || !tail.ends_with(kTailAfter)) fail("does not end in its checksum");
  std::string blank(bytes);
  blank.replace(bytes.size() - kTailAfter.size() - kNoChecksum.size(), kNoChecksum.size(), kNoChecksum);
  if (sha256_hex(blank) != tail.substr(kTailBefore.size(), kNoChecksum.size()))
    fail("checksum does not match, the file was changed");
}

Manifest manifest_from_json(const nlohmann::json& object) {
  Manifest manifest;
  manifest.step = json_int(object, "step", 0, kMaxInt, kName);
  manifest.parent = json_string(object, "parent", kName);
  if (!manifest.parent.empty() && !is_sha256_hex(manifest.parent)) fail("'parent' is no digest");
  manifest.created_unix = json_int(object, "created_unix", 0, kMaxInt, kName);
  const nlohmann::json& scores = json_member(object, "scores", kName);
  if (!scores.is_object()) fail("'scores' must be an object");
  for (const auto& item : scores.items()) manifest.scores[item.key()] = json_number(scores, item.key(), kName);
  const bool has_evaluation_id = object.contains("evaluation_id");
  if (has_evaluation_id) {
    manifest.evaluation_id = json_string(object, "evaluation_id", kName);
    if (!is_sha256_hex(manifest.evaluation_id)) fail("'evaluation_id' is no digest");
  }
  manifest.expert_histogram = histogram_from_json(json_member(object, "expert_histogram", kName), "expert_histogram");
  const bool by_modality = object.contains("image_expert_histogram");
  if (by_modality) {
    manifest.image_expert_histogram = histogram_from_json(object["image_expert_histogram"], "image_expert_histogram");
    if (!is_part_of(manifest.image_expert_histogram, manifest.expert_histogram)) {
      fail("'image_expert_histogram' must be a part of 'expert_histogram'");
    }
  }
  manifest.files = files_from_json(json_member(object, "files", kName), "files");
  manifest.training_state = files_from_json(json_member(object, "training_state", kName), "training_state");
  json_string(object, "manifest_sha256", kName);
  if (object.size() != size_t{9} + by_modality + has_evaluation_id) fail("has unknown fields");
  return manifest;
}

std::map<std::string, ManifestFile> describe_folder(const fs::path& folder, bool allow_training_state,
                                                    const std::map<std::string, ManifestFile>& known) {
  std::map<std::string, ManifestFile> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || name == kManifestName) continue;
    if (allow_training_state && name == kTrainingStateFolder && entry.is_directory() && !entry.is_symlink()) continue;
    SF_REQUIRE(is_plain_file_name(name), "manifest: a checkpoint cannot hold a file named '", name, "'");
    const auto found = known.find(name);
    files[name] = found == known.end() ? describe_file(entry.path()) : found->second;
  }
  return files;
}

}  // namespace

bool is_plain_file_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameLength && name.front() != '.' && name != kManifestName &&
         std::all_of(name.begin(), name.end(), plain);
}

std::string manifest_to_json(const Manifest& manifest) {
  SF_REQUIRE(manifest.step >= 0 && manifest.created_unix >= 0, "manifest: step and created_unix must not be negative");
  SF_REQUIRE(manifest.parent.empty() || is_sha256_hex(manifest.parent), "manifest: parent must be a digest or empty");
  SF_REQUIRE(manifest.evaluation_id.empty() || is_sha256_hex(manifest.evaluation_id),
             "manifest: evaluation_id must be a digest or empty");
  Json scores = Json::object();
  for (const auto& [name, score] : manifest.scores) {
    SF_REQUIRE(std::isfinite(score), "manifest: score '", name, "' is not finite");
    scores[name] = score;
  }
  for (const auto& layer : manifest.expert_histogram) {
    SF_REQUIRE(layer.size() == manifest.expert_histogram.front().size(),
               "manifest: expert_histogram must be a rectangle");
    for (const int64_t count : layer) SF_REQUIRE(count >= 0, "manifest: expert_histogram must hold counts");
  }
  SF_REQUIRE(
      manifest.image_expert_histogram.empty() || is_part_of(manifest.image_expert_histogram, manifest.expert_histogram),
      "manifest: image_expert_histogram must be a part of expert_histogram");
  Json object = {{"format_version", kManifestFormatVersion},
                 {"step", manifest.step},
                 {"parent", manifest.parent},
                 {"created_unix", manifest.created_unix},
                 {"scores", scores}};
  if (!manifest.evaluation_id.empty()) object["evaluation_id"] = manifest.evaluation_id;
  object["expert_histogram"] = manifest.expert_histogram;
  if (!manifest.image_expert_histogram.empty()) object["image_expert_histogram"] = manifest.image_expert_histogram;
  object["files"] = files_to_json(manifest.files);
  object["training_state"] = files_to_json(manifest.training_state);
  object["manifest_sha256"] = kNoChecksum;  // last: the file ends in it
  std::string text = object.dump(2) + "\n";
  const std::string checksum = sha256_hex(text);
  return text.replace(text.size() - kTailAfter.size() - kNoChecksum.size(), kNoChecksum.size(), checksum);
}

Manifest parse_manifest(std::string_view bytes) {
  try {
    const nlohmann::json object = parse_strict_json(bytes, kName, /*max_depth=*/4);
    check_format_version(object);
    check_checksum(bytes);
    return manifest_from_json(object);
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument) throw;
    throw Error(Code::kDataLoss, error.what(), kName);  // on disk, a wrong field is a damaged file
  }
}

ManifestFile describe_file(const fs::path& path) {
  Sha256 digest;
  ManifestFile file;
  file.size = read_pieces(path, kMaxFileBytes, [&](std::string_view piece) { digest.update(piece); });
  file.sha256 = digest.hex();
  return file;
}

Manifest write_checkpoint_manifest(const fs::path& directory, Manifest manifest,
                                   const std::map<std::string, ManifestFile>& known) {
  manifest.files = describe_folder(directory, /*allow_training_state=*/true, known);
  const fs::path state = directory / kTrainingStateFolder;
  manifest.training_state.clear();
  if (fs::is_directory(fs::symlink_status(state)))
    manifest.training_state = describe_folder(state, /*allow_training_state=*/false, {});
  write_file(directory / kManifestName, manifest_to_json(manifest));
  return manifest;
}

}  // namespace sf
