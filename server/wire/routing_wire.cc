#include "server/wire/routing_wire.h"

#include <bit>

namespace sf::server {
namespace {

constexpr int64_t kMaxSide = 1 << 16;  // layers, and experts a token: far above any model, so that products stay small

template <typename T>
void append_little_endian(std::string& bytes, T value) {
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i));
}

}  // namespace

std::string routing_id_bytes(const RoutingRecord& record) {
  std::string bytes;
  bytes.reserve(record.ids.size() * 2);
  for (uint16_t id : record.ids) append_little_endian(bytes, id);
  return bytes;
}

std::string routing_gate_bytes(const RoutingRecord& record) {
  std::string bytes;
  bytes.reserve(record.gates.size() * 4);
  for (float gate : record.gates) append_little_endian(bytes, std::bit_cast<uint32_t>(gate));
  return bytes;
}

RoutingRecord routing_from_bytes(int64_t num_layers, int64_t top_k, std::string_view ids) {
  if (num_layers < 1 || num_layers > kMaxSide || top_k < 1 || top_k > kMaxSide) {
    throw invalid_argument("routing", "routing: layers and top_k must be positive, got ", num_layers, " and ", top_k);
  }
  const size_t token_bytes = static_cast<size_t>(num_layers * top_k) * 2;
  if (ids.empty() || ids.size() % token_bytes != 0) {
    throw invalid_argument("routing", "routing: ids must be whole tokens of ", token_bytes, " bytes, got ", ids.size());
  }
  RoutingRecord record;
  record.num_layers = static_cast<int>(num_layers);
  record.top_k = static_cast<int>(top_k);
  record.ids.reserve(ids.size() / 2);
  for (size_t i = 0; i < ids.size(); i += 2) {
    const auto low = static_cast<unsigned char>(ids[i]), high = static_cast<unsigned char>(ids[i + 1]);
    record.ids.push_back(static_cast<uint16_t>(low | high << 8));
  }
  return record;
}

}  // namespace sf::server
