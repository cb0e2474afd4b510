// Cuts a stream of bytes into the data of its server-sent events, however the network cut it. One thread only.
//
//   for (const std::string& data : lines.push(bytes)) ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf::client {

class EventLines {
 public:
  // The data of every event that `bytes` completes; comments and other fields are skipped.
  std::vector<std::string> push(std::string_view bytes);

 private:
  std::string pending_;  // the last, unfinished line
  std::string data_;     // of the event that is open
  bool has_data_ = false;
};

}  // namespace sf::client
