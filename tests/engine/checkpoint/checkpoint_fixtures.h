// A temporary folder and a small checkpoint in it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "engine/base/file.h"
#include "engine/checkpoint/manifest.h"

namespace sf::fixtures {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "sf_checkpoint_XXXXXX").string();
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Fills an existing, empty directory.
inline Manifest write_small_checkpoint(const std::filesystem::path& directory, int64_t step = 7) {
  write_file(directory / "config.json", "{\"width\": 8}\n");
  write_file(directory / "model.safetensors", std::string(300, 'w') + std::to_string(step));
  write_file(directory / "tokenizer.model", "pieces");
  std::filesystem::create_directory(directory / kTrainingStateFolder);
  write_file(directory / kTrainingStateFolder / "state.safetensors", "moments");
  Manifest manifest{.step = step, .created_unix = 1'700'000'000};
  manifest.scores = {{"accuracy", 0.975}, {"loss", 0.125}};
  manifest.expert_histogram = {{1, 2, 3}, {4, 5, 6}};
  return write_checkpoint_manifest(directory, manifest);
}

}  // namespace sf::fixtures
