#include "server/http/event_writer.h"

#include <string_view>

namespace sf::server {

bool EventWriter::write(httplib::DataSink& sink, const std::string& data) {
  last_write_ = std::chrono::steady_clock::now();
  const std::string event = "data: " + data + "\n\n";
  return sink.write(event.data(), event.size());
}

bool EventWriter::ping(httplib::DataSink& sink, int ping_interval_ms) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_write_ < std::chrono::milliseconds(ping_interval_ms)) return true;
  last_write_ = now;
  static constexpr std::string_view kPing = ": ping\n\n";
  return sink.write(kPing.data(), kPing.size());
}

}  // namespace sf::server
