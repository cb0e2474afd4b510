// SHA-256 (FIPS 180-4) as 64 lower-case hex digits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sf {

std::string sha256_hex(std::string_view bytes);

// The same over bytes that come piece by piece. One thread only.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  void update(std::string_view bytes);
  // REQUIRES: called once, last.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether `text` looks like what sha256_hex returns.
bool is_sha256_hex(std::string_view text);

}  // namespace sf
