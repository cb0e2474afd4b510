// Any bytes as a .pth: the zip around the pickle. Every element of what is accepted can be read.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/import/torch_file.h"

namespace {

// A file that nobody else has, in memory where the machine has such a folder.
const std::filesystem::path& scratch_file() {
  static const auto* const path = [] {
    const std::filesystem::path shared = "/dev/shm";
    const auto folder = std::filesystem::is_directory(shared) ? shared : std::filesystem::temp_directory_path();
    std::atexit([] { std::filesystem::remove(scratch_file()); });
    return new std::filesystem::path(folder / ("torch_file_fuzz-" + std::to_string(getpid()) + ".pth"));
  }();
  return *path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  sf::write_file(scratch_file(), {reinterpret_cast<const char*>(bytes), size});
  try {
    const sf::TorchFile file(scratch_file());
    std::string element(16, '\0');
    for (const auto& [name, layout] : file.tensors()) {
      const auto whole = static_cast<int64_t>(sf::num_bytes(layout));
      const auto part = std::min(whole, static_cast<int64_t>(element.size()));
      file.read(name, 0, part, element.data());
      file.read(name, whole - part, part, element.data());
    }
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kDataLoss) std::abort();
  }
  return 0;
}
