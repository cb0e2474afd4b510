// SHA-256 (FIPS 180-4): 32 bytes, or the same as 64 lower-case hex digits.
//
//   Sha256 hash;
//   hash.update(bytes);
//   std::string digest = hash.hex();
//
// The functions are thread-safe; a Sha256 is for one thread only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sf {

using Sha256Digest = std::array<uint8_t, 32>;

// Yields to requests (yield_to_requests.h) between pieces of 256 KiB.
Sha256Digest sha256(std::string_view bytes);

std::string sha256_hex(std::string_view bytes);

// The same over bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  void update(std::string_view bytes);
  // REQUIRES: one of the two is called, once, last.
  Sha256Digest digest();
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether `text` looks like what sha256_hex returns.
bool is_sha256_hex(std::string_view text);

}  // namespace sf
