#include "client/bench_progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <utility>

namespace sf::client {
namespace {

constexpr int kBarWidth = 24;
constexpr double kQuietS = 2, kRedrawS = 0.1, kLineS = 5;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// 75 -> "1:15", 3700 -> "1:01:40".
std::string duration(double seconds) {
  const long whole = static_cast<long>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  char text[40];
  if (whole >= 3600) {
    std::snprintf(text, sizeof(text), "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof(text), "%ld:%02ld", whole / 60, whole % 60);
  }
  return text;
}

}  // namespace

BenchProgress::BenchProgress(int total, BenchProgressOptions options)
    : total_(std::max(1, total)), options_(std::move(options)) {
  if (options_.out == nullptr) options_.out = &std::cerr;
  if (!options_.seconds) options_.seconds = steady_seconds;
  is_terminal_ = options_.is_terminal.value_or(isatty(STDERR_FILENO) == 1);
  began_s_ = shown_at_s_ = options_.seconds();
}

void BenchProgress::update(int answered) {
  const std::lock_guard lock(mutex_);
  answered_ = std::max(answered_, answered);
  const double now_s = options_.seconds();
  if (now_s - began_s_ < kQuietS || (shown_ && now_s - shown_at_s_ < (is_terminal_ ? kRedrawS : kLineS))) return;
  shown_at_s_ = now_s;
  show();
}

void BenchProgress::finish() {
  const std::lock_guard lock(mutex_);
  if (!shown_) return;
  show();
  if (is_terminal_) *options_.out << "\n" << std::flush;
  shown_ = false;
}

void BenchProgress::show() {
  shown_ = true;
  const double seconds = std::max(1e-9, options_.seconds() - began_s_);
  const double rate = answered_ / seconds;
  const int filled = answered_ * kBarWidth / total_;
  const std::string bar = std::string(static_cast<size_t>(filled), '#') + std::string(kBarWidth - filled, '.');
  char text[160];
  std::snprintf(text, sizeof(text), "%d/%d requests, %.1f/s, ", answered_, total_, rate);
  const std::string rest = answered_ >= total_ ? duration(seconds) + " in all"
                           : rate > 0          ? duration((total_ - answered_) / rate) + " left"
                                               : "no answer yet";
  if (is_terminal_) {
    *options_.out << "\rbench [" << bar << "] " << text << rest << "\x1b[K" << std::flush;
  } else {
    *options_.out << "bench: " << text << rest << std::endl;
  }
}

}  // namespace sf::client
