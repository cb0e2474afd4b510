// BYTES tensors as they travel in raw form: for each element, row by row, a little-endian uint32 length and that many
// bytes. The same in gRPC's raw contents and in the binary part of an HTTP body.
//
//   std::vector<std::string> elements = split_bytes_tensor(raw, 1, "IMAGE");
//   std::string raw = join_bytes_tensor({"red circle"});
//
// Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

// Errors: InvalidArgument naming `name` unless `raw` holds exactly `num_elements` elements: a length beyond the end,
// too few elements, bytes after the last one.
std::vector<std::string> split_bytes_tensor(std::string_view raw, size_t num_elements, const std::string& name);

// REQUIRES: no element of 4 GiB or more.
std::string join_bytes_tensor(const std::vector<std::string>& elements);

}  // namespace sf::server
