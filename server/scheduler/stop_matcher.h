// Finds stop strings in a text that arrives in pieces. What might be the beginning of one is held back until it is sure
// that it is not, so the caller never sends a character of a stop string.
//
//   StopMatcher matcher({"\n", "END"});
//   out += matcher.push("The E");     // "The ": the E waits
//   out += matcher.push("nd");        // "End"
//   if (matcher.stopped()) ...
//   out += matcher.finish();          // what was still held back
//
// The result depends on the whole text only, never on how it was cut. One thread only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

class StopMatcher {
 public:
  // Empty strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops = {});
  // Text that may be sent. After a match: nothing, for ever.
  std::string push(std::string_view text);
  // The stop string that completes first ends the text; of several that complete at once, the longest.
  bool stopped() const { return stopped_; }
  std::string finish();

 private:
  // Bytes at the end of `held_` that could begin a stop string.
  size_t undecided_suffix() const;

  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace sf::server
