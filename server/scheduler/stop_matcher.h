// Finds stop strings in a text that arrives in pieces. What might be the beginning of one is held back until it is sure
// that it is not, so the caller never sends a character of a stop string.
//
//   StopMatcher matcher({"\n", "END"});
//   text += matcher.push("The E");     // "The ": the E waits
//   text += matcher.push("nd");        // "End"
//   if (!matcher.stopped()) text += matcher.finish();   // what was still held back
//
// The result depends on the whole text only, never on how it was cut. A byte costs at most a few steps for each stop
// string, however long those are (Knuth, Morris and Pratt, 1977). One thread only.
#pragma once

#include <cstddef>
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
  struct Stop {
    std::string text;
    std::vector<size_t> borders;  // [n]: how much of its first n + 1 bytes is also their end, less than all
    size_t num_matched = 0;       // of its bytes: the end of what was pushed
  };
  static Stop make_stop(std::string text);
  static size_t next_match(const Stop& stop, size_t num_matched, char c);

  std::vector<Stop> stops_;
  std::string held_;  // the end of what was pushed that could begin a stop string
  bool stopped_ = false;
};

}  // namespace sf::server
