// The response_stream between the scheduler's thread (push, finish, fail) and one frontend's thread (next, cancel).
//
//   auto stream = std::make_shared<EventQueue>(7);    // the model version
//   stream->push("red");
//   stream->finish(summary);                          // exactly one terminal event, whatever is called after it
//
// Unbounded, but a request pushes at most max_tokens events, which the context bounds. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>

#include "engine/base/mutex.h"
#include "server/scheduler/response_stream.h"

namespace sf::server {

class EventQueue final : public ResponseStream {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `on_delivered` runs once, on the reader's thread when it takes the terminal event, or in the destructor. A reader
  // that waits at `deadline` gets Error(kDeadlineExceeded), whatever the scheduler and its engine are doing.
  explicit EventQueue(int64_t model_version, std::function<void()> on_delivered = {},
                      TimePoint deadline = TimePoint::max());
  ~EventQueue() override;

  Event next(bool merge_pending = false) override;
  std::optional<Event> next_for(int timeout_ms, bool merge_pending = false) override;
  void cancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  int64_t model_version() const override { return model_version_; }

  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  // Empty text without tokens is not an event. Ignored after the end.
  void push(std::string text, std::vector<TokenLogprob> tokens = {});
  // False, and no effect, if the stream had already ended.
  bool finish(Summary summary);
  bool fail(Error error);

 private:
  bool end(Event terminal);
  Event take(bool merge_pending) SF_REQUIRES(mutex_);
  // Waits for an event until `until` or the deadline. False if there is none by then.
  bool wait_for_event(TimePoint until) SF_REQUIRES(mutex_);
  void delivered();

  const int64_t model_version_;
  const TimePoint deadline_;
  std::atomic<bool> cancelled_{false};
  Mutex mutex_;
  CondVar ready_;
  std::deque<Event> events_ SF_GUARDED_BY(mutex_);
  bool ended_ SF_GUARDED_BY(mutex_) = false;
  std::function<void()> on_delivered_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
