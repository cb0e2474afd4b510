#include <filesystem>
#include <fstream>
#include <iostream>

#include "client/client.h"

namespace sf::client {
namespace {

// Far above any server's limit; guards against a path that never ends.
constexpr size_t kMaxFileBytes = 256 << 20;

std::string read_stream(std::istream& input, const std::string& name) {
  std::string bytes;
  char block[1 << 16];
  while (input.read(block, sizeof(block)) || input.gcount() > 0) {
    bytes.append(block, static_cast<size_t>(input.gcount()));
    if (bytes.size() > kMaxFileBytes) throw ClientError("INVALID_ARGUMENT", name + " is larger than 256 MiB");
  }
  return bytes;
}

}  // namespace

std::string read_file(const std::string& path) {
  if (path == "-") return read_stream(std::cin, "standard input");
  if (std::filesystem::is_directory(path)) throw ClientError("INVALID_ARGUMENT", path + " is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ClientError("NOT_FOUND", "cannot read " + path);
  return read_stream(file, path);
}

}  // namespace sf::client
