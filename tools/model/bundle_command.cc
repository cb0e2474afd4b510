#include <iostream>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "tools/model/commands.h"

namespace sf {

int bundle_command(const OfflineCommandOptions& options) {
  const VerifiedCheckpoint checkpoint = open_checkpoint(options.model);
  const std::filesystem::path destination = options.destination;
  if (std::filesystem::exists(destination)) {
    throw Error(Code::kAlreadyExists, concat(options.destination, " is there already"), "destination");
  }
  std::filesystem::create_directories(destination);
  for (const auto& [name, file] : checkpoint.manifest().files) write_file(destination / name, checkpoint.file(name));
  Manifest manifest = checkpoint.manifest();
  manifest.files.clear();
  manifest.training_state.clear();
  write_checkpoint_manifest(destination, manifest);
  std::cout << open_checkpoint(destination).digest() << "\n";
  return 0;
}

}  // namespace sf
