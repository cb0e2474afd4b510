#include "server/connections/connection_table.h"

#include <algorithm>
#include <tuple>

namespace sf::server {
namespace {

constexpr std::chrono::seconds kSlow{1};  // for a head or a handshake

int rank_of(const ConnectionEntry& entry, ConnectionEntry::TimePoint now) {
  switch (entry.stage) {
    case Stage::kLingering:
      return 0;
    case Stage::kHandshake:
    case Stage::kHead:
      return now - entry.since > kSlow ? 1 : 3;
    case Stage::kIdle:
      return 2;
    default:
      return 4;
  }
}

}  // namespace

ConnectionEntry& ConnectionTable::add(std::unique_ptr<Connection> connection, TimePoint now) {
  auto entry = std::make_unique<ConnectionEntry>();
  entry->id = ++last_id_;
  entry->connection = std::move(connection);
  entry->since = now;
  ++num_of_peer_[entry->connection->peer().group];
  return *(entries_[last_id_] = std::move(entry));
}

ConnectionEntry* ConnectionTable::find(uint64_t id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

void ConnectionTable::erase(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  set_deadline(*found->second, std::nullopt);
  const auto peer = num_of_peer_.find(found->second->connection->peer().group);
  if (--peer->second == 0) num_of_peer_.erase(peer);
  entries_.erase(found);
}

size_t ConnectionTable::size_of_peer(const std::string& group) const {
  const auto found = num_of_peer_.find(group);
  return found == num_of_peer_.end() ? 0 : found->second;
}

void ConnectionTable::set_deadline(ConnectionEntry& entry, std::optional<TimePoint> deadline) {
  if (entry.deadline) deadlines_.erase({*entry.deadline, entry.id});
  entry.deadline = deadline;
  if (deadline) deadlines_.emplace(*deadline, entry.id);
}

std::optional<ConnectionTable::TimePoint> ConnectionTable::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::vector<uint64_t> ConnectionTable::expired(TimePoint now) const {
  std::vector<uint64_t> ids;
  for (const auto& [deadline, id] : deadlines_) {
    if (deadline > now) break;
    ids.push_back(id);
  }
  return ids;
}

std::vector<uint64_t> ConnectionTable::least_useful(size_t count, TimePoint now, const std::string* group) const {
  std::vector<std::tuple<int, TimePoint, uint64_t>> found;
  for (const auto& [id, entry] : entries_) {
    if (entry->stage == Stage::kServing || (group && entry->connection->peer().group != *group)) continue;
    found.emplace_back(rank_of(*entry, now), entry->since, id);
  }
  count = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end());
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(std::get<uint64_t>(found[i]));
  return ids;
}

std::vector<uint64_t> ConnectionTable::all_of(std::initializer_list<Stage> stages) const {
  std::vector<uint64_t> ids;
  for (const auto& [id, entry] : entries_) {
    if (std::find(stages.begin(), stages.end(), entry->stage) != stages.end()) ids.push_back(id);
  }
  return ids;
}

}  // namespace sf::server
