#include "server/scheduler/event_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sf::server {

EventQueue::EventQueue(int64_t model_version, std::function<void()> on_delivered, TimePoint deadline)
    : model_version_(model_version), deadline_(deadline), on_delivered_(std::move(on_delivered)) {}

EventQueue::~EventQueue() { delivered(); }

void EventQueue::delivered() {
  std::function<void()> callback;
  {
    MutexLock lock(mutex_);
    callback = std::exchange(on_delivered_, nullptr);
  }
  if (callback) callback();
}

Event EventQueue::take(bool merge_pending) {
  Event event = std::move(events_.front());
  events_.pop_front();
  while (merge_pending && !event.finished && !events_.empty() && !events_.front().finished) {
    Event& following = events_.front();
    event.text += following.text;
    std::move(following.tokens.begin(), following.tokens.end(), std::back_inserter(event.tokens));
    events_.pop_front();
  }
  return event;
}

bool EventQueue::wait_for_event(TimePoint until) {
  const TimePoint first = std::min(until, deadline_);
  while (events_.empty()) {
    if (first == TimePoint::max()) {
      ready_.wait(mutex_);
    } else if (!ready_.wait_until(mutex_, first) && events_.empty()) {
      if (ended_ || std::chrono::steady_clock::now() < deadline_) return false;
      ended_ = true;
      Event late;
      late.finished = true;
      late.error = Error(Code::kDeadlineExceeded, "the request's deadline passed before its answer was complete");
      events_.push_back(std::move(late));
    }
  }
  return true;
}

Event EventQueue::next(bool merge_pending) {
  Event event;
  {
    MutexLock lock(mutex_);
    while (!wait_for_event(TimePoint::max())) continue;
    event = take(merge_pending);
  }
  if (event.finished) delivered();
  return event;
}

std::optional<Event> EventQueue::next_for(int timeout_ms, bool merge_pending) {
  const TimePoint until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  std::optional<Event> event;
  {
    MutexLock lock(mutex_);
    if (!wait_for_event(until)) return std::nullopt;
    event = take(merge_pending);
  }
  if (event->finished) delivered();
  return event;
}

void EventQueue::push(std::string text, std::vector<TokenLogprob> tokens) {
  if (text.empty() && tokens.empty()) return;
  {
    MutexLock lock(mutex_);
    if (ended_) return;
    Event event;
    event.text = std::move(text);
    event.tokens = std::move(tokens);
    events_.push_back(std::move(event));
  }
  ready_.notify_one();
}

bool EventQueue::finish(Summary summary) {
  Event event;
  event.summary = std::move(summary);
  return end(std::move(event));
}

bool EventQueue::fail(Error error) {
  Event event;
  event.error = std::move(error);
  return end(std::move(event));
}

bool EventQueue::end(Event terminal) {
  terminal.finished = true;
  {
    MutexLock lock(mutex_);
    if (std::exchange(ended_, true)) return false;
    events_.push_back(std::move(terminal));
  }
  ready_.notify_one();
  return true;
}

}  // namespace sf::server
