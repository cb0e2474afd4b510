// The page's files and openapi.json, embedded at build time from this folder.
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
