#include "server/auth/mounted_file.h"

#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"

namespace sf::server {

std::string read_mounted_file(const std::string& path, int64_t max_bytes) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  if (error) {
    throw_errno(concat("file: cannot open '", path, "'"), error.value(), path);
  }
  return read_file(target, max_bytes);
}

}  // namespace sf::server
