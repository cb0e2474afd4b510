#include "server/guard/mounted_file.h"

#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/file.h"

namespace sf::server {

std::string read_mounted_file(const std::string& path, int64_t max_bytes) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  if (error) {
    const Code code = error == std::errc::no_such_file_or_directory ? Code::kNotFound : Code::kInvalidArgument;
    throw Error(code, concat("file: cannot open '", path, "': ", error.message()), path);
  }
  return read_file(target, max_bytes);
}

}  // namespace sf::server
