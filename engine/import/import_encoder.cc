#include "engine/import/import_encoder.h"

#include <chrono>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/checkpoint/sharded_tensors.h"
#include "engine/model/config.h"

namespace sf {
namespace {

constexpr int64_t kMaxJsonBytes = 1 << 20;
constexpr const char* kEncoderWeights = "model.safetensors";

std::string read_beside(const std::filesystem::path& file, const char* name) {
  const std::filesystem::path path = file.parent_path() / name;
  return std::filesystem::exists(path) ? read_file(path, kMaxJsonBytes) : std::string();
}

Manifest write_encoder(const VisionImport& import, const TensorSource& source, const ImportOptions& options) {
  const VisionModelConfig config = parse_vision_config(import.config_json);
  write_file(options.destination / "config.json", to_json(config));
  write_file(options.destination / "preprocessor_config.json", preprocessor_json(config.image));
  WriteOptions write;
  write.dtype = options.dtype;
  const int64_t total = planned_bytes(import.plan, options.dtype);
  if (options.progress) write.progress = [&](int64_t done) { options.progress(done, total); };
  const ManifestFile weights = write_planned(import.plan, source, options.destination / kEncoderWeights, write);
  Manifest manifest;
  manifest.created_unix =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return write_checkpoint_manifest(options.destination, manifest, {{kEncoderWeights, weights}});
}

}  // namespace

Manifest import_encoder(VisionImporter importer, const ImportOptions& options, const VisionImportOptions& vision) {
  const ShardedTensors source = ShardedTensors::of_file(options.source);
  const VisionImportFiles files{read_beside(options.source, "config.json"),
                                read_beside(options.source, "preprocessor_config.json")};
  const VisionImport import = importer(source, vision, files);
  check_plan(import.plan, source);
  parse_vision_config(import.config_json);  // before anything is written
  if (std::filesystem::exists(options.destination)) {
    throw Error(Code::kAlreadyExists, concat(options.destination.string(), " is there already"), "out");
  }
  std::filesystem::create_directories(options.destination);
  try {
    return write_encoder(import, source, options);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(options.destination, ignored);
    throw;
  }
}

}  // namespace sf
