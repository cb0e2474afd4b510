#include "server/wire/base64.h"

#include "engine/base/error.h"

namespace sf::server {

std::string decode_image_text(std::string_view text, size_t max_bytes, const std::string& field) {
  if (text.starts_with("http://") || text.starts_with("https://") || text.starts_with("file:")) {
    throw invalid_argument(field, field, ": URLs are not fetched; send base64 or a data URI");
  }
  return is_data_uri(text) ? decode_data_uri(text, max_bytes, field) : decode_base64(text, max_bytes, field);
}

}  // namespace sf::server
