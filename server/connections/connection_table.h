// The open connections of a port: where each stands, which deadline is next, how many a peer has, and which have to go
// when there is no room.
//
//   ConnectionTable table;
//   ConnectionEntry& entry = table.add(std::move(connection), now);
//   table.set_deadline(entry, now + 10s);
//   for (uint64_t id : table.expired(now)) ...
//
// One thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/connections/connection.h"
#include "server/connections/request_head.h"

namespace sf::server {

enum class Stage { kHandshake, kHead, kServing, kFlushing, kIdle, kLingering };

struct ConnectionEntry {
  using TimePoint = std::chrono::steady_clock::time_point;

  uint64_t id = 0;
  std::unique_ptr<Connection> connection;
  Stage stage = Stage::kHead;
  std::unique_ptr<HeadParser> parser;
  TimePoint since{};  // when it came, began a head or got its last answer
  std::optional<TimePoint> deadline = {};
  bool registered = false;  // with epoll
  bool keep = false;        // after the answer that is under way
  TimePoint linger_end{};
  size_t num_discarded = 0;
};

class ConnectionTable {
 public:
  using TimePoint = ConnectionEntry::TimePoint;

  ConnectionEntry& add(std::unique_ptr<Connection> connection, TimePoint now);
  ConnectionEntry* find(uint64_t id);  // null if it is gone
  // Effect: closes it.
  void erase(uint64_t id);

  size_t size() const { return entries_.size(); }
  size_t size_of_peer(const std::string& group) const;

  void set_deadline(ConnectionEntry& entry, std::optional<TimePoint> deadline);
  std::optional<TimePoint> next_deadline() const;
  std::vector<uint64_t> expired(TimePoint now) const;

  // Up to `count` connections that may be given up for new ones, never one that is served: those that are to close,
  // then heads and handshakes that are slow, then idle ones, then heads that have just begun, and of each kind the
  // oldest first. Of one peer where `group` is given.
  std::vector<uint64_t> least_useful(size_t count, TimePoint now, const std::string* group = nullptr) const;
  std::vector<uint64_t> all_of(std::initializer_list<Stage> stages) const;

 private:
  std::unordered_map<uint64_t, std::unique_ptr<ConnectionEntry>> entries_;
  std::unordered_map<std::string, size_t> num_of_peer_;
  std::set<std::pair<TimePoint, uint64_t>> deadlines_;
  uint64_t last_id_ = 0;
};

}  // namespace sf::server
