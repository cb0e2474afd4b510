// How a frontend gets an image that a request names by URL.
//
// Plain values; the functions in them are thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>

namespace sf::server {

// The bytes behind `url`; errors name `field`. Null: nothing is fetched. Thread-safe, blocks.
using FetchImage = std::function<std::string(const std::string& url, const std::string& field)>;

// For whom an image is fetched: tenants take turns, and one that left waits no longer.
struct FetchCaller {
  std::string tenant;                 // the API key's name, empty without keys
  std::function<bool()> is_unwanted;  // null = never
};
using FetchImageFor =
    std::function<std::string(const std::string& url, const std::string& field, const FetchCaller& caller)>;

// Null where `fetch` is. REQUIRES: `fetch` outlives the result.
inline FetchImage fetch_for(const FetchImageFor& fetch, FetchCaller caller) {
  if (!fetch) return nullptr;
  return [&fetch, caller = std::move(caller)](const std::string& url, const std::string& field) {
    return fetch(url, field, caller);
  };
}

// Whether a text that stands where an image is expected asks for a fetch.
inline bool is_image_url(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

}  // namespace sf::server
