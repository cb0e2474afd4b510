// The files of the page at "/" and openapi.json, embedded at build time from this folder.
//
//   for (const WebFile& file : web_files()) use(file.path, file.content);
//
// Thread-safe: constants.
#pragma once

#include <span>
#include <string_view>

namespace sf::server {

struct WebFile {
  std::string_view path;  // "/app.js"; index.html is "/"
  std::string_view content_type;
  std::string_view content;
  std::string_view digest;  // of the content, for ETag
};

std::span<const WebFile> web_files();

}  // namespace sf::server
