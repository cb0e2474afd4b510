#include "server/scheduler/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace sf::server {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& stop : stops) {
    if (!stop.empty()) stops_.push_back(make_stop(std::move(stop)));
  }
}

StopMatcher::Stop StopMatcher::make_stop(std::string text) {
  Stop stop{std::move(text), {0}, 0};
  for (size_t i = 1; i < stop.text.size(); ++i) {
    stop.borders.push_back(next_match(stop, stop.borders[i - 1], stop.text[i]));
  }
  return stop;
}

// How much of the stop string has come with `c`, where `num_matched` bytes of it had before.
size_t StopMatcher::next_match(const Stop& stop, size_t num_matched, char c) {
  while (num_matched > 0 && stop.text[num_matched] != c) num_matched = stop.borders[num_matched - 1];
  return stop.text[num_matched] == c ? num_matched + 1 : 0;
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return "";
  for (const char c : text) {
    held_ += c;
    size_t completed = 0;  // bytes of the longest stop string that ends here
    for (Stop& stop : stops_) {
      stop.num_matched = next_match(stop, stop.num_matched, c);
      if (stop.num_matched == stop.text.size()) completed = std::max(completed, stop.num_matched);
    }
    if (completed == 0) continue;
    stopped_ = true;
    held_.resize(held_.size() - completed);
    return std::exchange(held_, "");
  }
  size_t keep = 0;
  for (const Stop& stop : stops_) keep = std::max(keep, stop.num_matched);
  std::string safe = held_.substr(0, held_.size() - keep);
  held_.erase(0, safe.size());
  return safe;
}

std::string StopMatcher::finish() { return stopped_ ? "" : std::exchange(held_, ""); }

}  // namespace sf::server
