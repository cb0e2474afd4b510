#include "server/wire/request_id.h"

#include <algorithm>
#include <random>

namespace sf::server {
namespace {

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

}  // namespace

bool is_valid_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), is_id_character);
}

std::string choose_request_id(std::string_view offered) {
  if (is_valid_request_id(offered)) return std::string(offered);
  std::string id = "req-";
  for (int half = 0; half < 2; ++half) {
    const uint64_t bits = random_seed();
    for (int shift = 60; shift >= 0; shift -= 4) id.push_back("0123456789abcdef"[bits >> shift & 15]);
  }
  return id;
}

uint64_t random_seed() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return generator();
}

}  // namespace sf::server
