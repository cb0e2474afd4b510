#include "client/event_lines.h"

namespace sf::client {

std::vector<std::string> EventLines::push(std::string_view bytes) {
  std::vector<std::string> events;
  pending_ += bytes;
  size_t start = 0;
  for (size_t end; (end = pending_.find('\n', start)) != std::string::npos; start = end + 1) {
    std::string_view line = std::string_view(pending_).substr(start, end - start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {  // an empty line ends the event
      if (has_data_) events.push_back(std::move(data_));
      data_.clear();
      has_data_ = false;
    } else if (line.starts_with("data:")) {
      line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
      if (has_data_) data_ += '\n';
      data_ += line;
      has_data_ = true;
    }
  }
  pending_.erase(0, start);
  return events;
}

}  // namespace sf::client
