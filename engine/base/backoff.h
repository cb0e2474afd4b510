// How long to wait before the next try: `first_s`, doubled each time up to `last_s`. The caller has the clock.
// One thread only.
//
//   Backoff backoff(1, 60);
//   const double retry_at_s = now_s + backoff.next_s();   // 1, 2, 4 ... 60, 60
//   backoff.reset();                                      // it worked
#pragma once

#include <algorithm>

namespace sf {

class Backoff {
 public:
  Backoff(double first_s, double last_s) : first_s_(first_s), last_s_(last_s) {}
  double next_s() {
    delay_s_ = delay_s_ == 0 ? first_s_ : std::min(2 * delay_s_, last_s_);
    return delay_s_;
  }
  void reset() { delay_s_ = 0; }

 private:
  double first_s_;
  double last_s_;
  double delay_s_ = 0;
};

}  // namespace sf
