#include "engine/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <utility>

namespace sf {
namespace {

constexpr size_t kBarWidth = 24;
constexpr const char* kClearRest = "\x1b[K";

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_rate(double rate) {
  char text[32];
  std::snprintf(text, sizeof(text), rate >= 100 ? "%.0f" : rate >= 10 ? "%.1f" : "%.2f", rate);
  return text;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, 1e12)));
  char text[48];
  if (whole >= 3600) {
    std::snprintf(text, sizeof(text), "%lld:%02d:%02d", static_cast<long long>(whole / 3600),
                  static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  } else {
    std::snprintf(text, sizeof(text), "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  }
  return text;
}

Progress::Progress(std::string label, int64_t total, std::string unit, ProgressOptions options, int64_t already_done)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      already_done_(already_done),
      options_(std::move(options)),
      done_(already_done) {
  if (options_.out == nullptr) options_.out = &std::cerr;
  if (!options_.seconds) options_.seconds = steady_seconds;
  is_terminal_ = options_.is_terminal.value_or(isatty(STDERR_FILENO) == 1);
  start_ = options_.seconds();
  last_shown_ = start_;
}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, const std::string& note) {
  if (finished_) return;
  done_ = done;
  note_ = note;
  const double now = options_.seconds();
  if (now - start_ < options_.quiet_seconds) return;
  if (shown_ && now - last_shown_ < (is_terminal_ ? options_.redraw_seconds : options_.line_seconds)) return;
  last_shown_ = now;
  show();
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (!shown_) return;
  show();
  if (is_terminal_) *options_.out << '\n' << std::flush;
}

void Progress::show() {
  shown_ = true;
  if (is_terminal_) {
    *options_.out << '\r' << line() << kClearRest << std::flush;
  } else {
    *options_.out << line() << std::endl;
  }
}

std::string Progress::line() const {
  const double elapsed = options_.seconds() - start_;
  const double rate = elapsed > 0 ? static_cast<double>(done_ - already_done_) / elapsed : 0.0;
  std::ostringstream text;
  text << label_;
  if (total_ > 0) {
    const double share = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    if (is_terminal_) {
      const auto filled = static_cast<size_t>(share * kBarWidth);
      text << " [" << std::string(filled, '#') << std::string(kBarWidth - filled, '-') << ']';
    }
    text << ' ' << static_cast<int>(share * 100) << "% " << done_ << '/' << total_;
  } else {
    text << ' ' << done_;
  }
  text << ' ' << unit_ << ", " << format_rate(rate) << "/s";
  if (total_ > 0 && done_ < total_ && rate > 0)
    text << ", ETA " << format_duration(static_cast<double>(total_ - done_) / rate);
  if (total_ > 0 && done_ >= total_) text << ", " << format_duration(elapsed);
  if (!note_.empty()) text << ", " << note_;
  return text.str();
}

}  // namespace sf
