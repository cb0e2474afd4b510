#include "server/scheduler/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace sf::server {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  size_t first_end = std::string::npos;
  size_t match_begin = 0;
  for (const std::string& stop : stops_) {
    const size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stop.size();
    if (end < first_end || (end == first_end && begin < match_begin)) {
      first_end = end;
      match_begin = begin;
    }
  }
  if (first_end != std::string::npos) {
    stopped_ = true;
    return std::exchange(held_, "").substr(0, match_begin);
  }
  const size_t keep = undecided_suffix();
  std::string safe = held_.substr(0, held_.size() - keep);
  held_.erase(0, safe.size());
  return safe;
}

size_t StopMatcher::undecided_suffix() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    size_t length = std::min(stop.size() - 1, held_.size());
    while (length > longest && !std::string_view(held_).ends_with(std::string_view(stop).substr(0, length))) --length;
    longest = std::max(longest, length);
  }
  return longest;
}

std::string StopMatcher::finish() { return stopped_ ? "" : std::exchange(held_, ""); }

}  // namespace sf::server
