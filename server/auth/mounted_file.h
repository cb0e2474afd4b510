// Files that an operator names: keys, certificates.
//
// Thread-safe: free functions.
#pragma once

#include <cstdint>
#include <string>

namespace sf::server {

// Effect: reads all of the regular file to which `path` leads, over symbolic links too: that is how Kubernetes mounts a
// Secret. Blocks, but never on a pipe. Errors: those of read_file (engine/base/file.h); NotFound for a link to nothing.
std::string read_mounted_file(const std::string& path, int64_t max_bytes);

}  // namespace sf::server
