// How a front gets a picture that a request names by URL.
#pragma once

#include <functional>
#include <string>

namespace sf::server {

// The bytes behind `url`; errors name `field`. Null: nothing is fetched. Thread-safe, blocks.
using FetchImage = std::function<std::string(const std::string& url, const std::string& field)>;

// Whether a text that stands where a picture is expected asks for a fetch.
inline bool is_image_url(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

}  // namespace sf::server
