// The data generator's random numbers: the same on every machine and compiler (integers exactly; no std::distribution).
//
//   Rng rng(seed, batch_index);      // independent streams
//   float x = rng.uniform(0.f, 1.f);  int die = rng.range(1, 6);
//
// One thread only. The generator is xoshiro256** (Blackman and Vigna), seeded by splitmix64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sf::data {

class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) {
    uint64_t x = mix(seed) ^ (stream * 0xd1342543de82ef95ull + 0x632be59bd9b4e019ull);
    for (uint64_t& word : state_) word = mix(x += 0x9e3779b97f4a7c15ull);
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  // Uniform in 0..n-1. REQUIRES: n >= 1.
  int below(int n) { return static_cast<int>(((next() >> 32) * static_cast<uint64_t>(n)) >> 32); }
  // Uniform in low..high, both included.
  int range(int low, int high) { return low + below(high - low + 1); }
  // Uniform in [0, 1), 24 bits.
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  bool chance(float probability) { return uniform() < probability; }
  // Mean 0, variance 1, bounded by 4.9: the sum of eight uniforms, so that no libm function takes part.
  float normal() {
    float sum = 0;
    for (int word = 0; word < 2; ++word) {
      uint64_t bits = next();
      for (int i = 0; i < 4; ++i, bits >>= 16) sum += static_cast<float>(bits & 0xffff);
    }
    return (sum * (1.f / 65535.f) - 4.f) * 1.2247449f;
  }

  template <typename Container>
  const auto& pick(const Container& from) {
    return from[static_cast<size_t>(below(static_cast<int>(from.size())))];
  }
  template <typename Container>
  void shuffle(Container& items) {
    for (int i = static_cast<int>(items.size()) - 1; i > 0; --i) std::swap(items[i], items[below(i + 1)]);
  }

 private:
  static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }

  uint64_t state_[4];
};

}  // namespace sf::data
