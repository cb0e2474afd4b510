// Whether a client takes or sends bytes fast enough to be waited for: so many a second, on average over each window of
// the time that it was waited for. Windows and not one long average, so that a burst buys no rest.
//
//   MinimumRate rate(5s, 240);
//   rate.count(num_bytes);                       // they came, or went
//   if (rate.is_too_slow(waited)) hang_up();     // `waited` only grows
//
// One thread only.
#pragma once

#include <chrono>
#include <cstddef>

namespace sf::server {

class MinimumRate {
 public:
  using Duration = std::chrono::steady_clock::duration;

  MinimumRate(Duration window, size_t bytes_per_s)
      : window_(window),
        min_bytes_(
            static_cast<size_t>(std::chrono::duration<double>(window).count() * static_cast<double>(bytes_per_s))) {}

  void count(size_t num_bytes) { num_bytes_ += num_bytes; }
  // Whether a window has ended with too little. Begins the next one.
  bool is_too_slow(Duration waited) {
    if (left(waited) > Duration::zero()) return false;
    const bool too_slow = num_bytes_ < min_bytes_;
    begin_ = waited;
    num_bytes_ = 0;
    return too_slow;
  }
  // Of this window.
  Duration left(Duration waited) const { return begin_ + window_ - waited; }

 private:
  const Duration window_;
  const size_t min_bytes_;
  Duration begin_{};
  size_t num_bytes_ = 0;
};

}  // namespace sf::server
