// Progress of work that may take long: a bar that redraws itself on a terminal, a plain line now and then elsewhere.
//
//   Progress progress("eval", 500, "images");
//   for (int i = 0; i < 500; ++i) { ...; progress.update(i + 1, "accuracy 0.98"); }
//   progress.finish();
//
// Work that ends within two seconds shows nothing. One thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

namespace sf {

struct ProgressOptions {
  std::ostream* out = nullptr;      // stderr
  std::optional<bool> is_terminal;  // asked of stderr where not given
  std::function<double()> seconds;  // a steady clock where not given
  double quiet_seconds = 2.0;       // nothing is shown before
  double redraw_seconds = 0.1;      // on a terminal
  double line_seconds = 5.0;        // elsewhere
};

class Progress {
 public:
  // `total` 0 = unknown: counts and rate only. `already_done`: what a resumed run need not do again; not in the rate.
  Progress(std::string label, int64_t total, std::string unit, ProgressOptions options = {}, int64_t already_done = 0);
  // Effect: calls finish().
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Effect: remembers how much is done, and shows it if it is time to.
  void update(int64_t done, const std::string& note = "");
  // Effect: shows the last state if anything was shown, and ends the line. Later calls do nothing.
  void finish();

 private:
  std::string line() const;
  void show();

  const std::string label_;
  const int64_t total_;
  const std::string unit_;
  const int64_t already_done_;
  ProgressOptions options_;
  bool is_terminal_;
  double start_;
  double last_shown_;
  bool shown_ = false;
  bool finished_ = false;
  int64_t done_;
  std::string note_;
};

// 75 -> "1:15", 3700 -> "1:01:40".
std::string format_duration(double seconds);

}  // namespace sf
