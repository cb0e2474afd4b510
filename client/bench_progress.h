// How far `sparsefusion bench` is: a bar with rate and remaining time that redraws itself on a terminal, a plain line
// now and then elsewhere. A run that ends within two seconds shows nothing.
//
//   BenchProgress progress(1000);
//   progress.update(17);   // from any client's thread
//   progress.finish();
//
// Thread-safe.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>

namespace sf::client {

struct BenchProgressOptions {
  std::ostream* out = nullptr;      // stderr
  std::optional<bool> is_terminal;  // asked of stderr where not given
  std::function<double()> seconds;  // a steady clock where not given
};

class BenchProgress {
 public:
  explicit BenchProgress(int total, BenchProgressOptions options = {});
  // Effect: shows that so many are answered, if it is time to. A number below one that was shown is not shown.
  void update(int answered);
  // Effect: shows the last state if anything was shown, and ends the line.
  void finish();

 private:
  void show();

  const int total_;
  BenchProgressOptions options_;
  bool is_terminal_;
  std::mutex mutex_;
  double began_s_;
  double shown_at_s_;
  int answered_ = 0;
  bool shown_ = false;
};

}  // namespace sf::client
