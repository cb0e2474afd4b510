// The version that answers now. A reload swaps it; requests go on with the version they took.
//
//   ModelSlot slot([&](const ServingVersion& freed) { metrics.retire_version(freed.metrics.get(), clock.now_s()); });
//   slot.publish(make_serving_version(7, std::move(engine), score, hold, deps));
//   if (const ServingVersionPtr version = slot.current()) version->scheduler().submit(std::move(job));
//
// A version's last reference may fall on its own scheduler's thread or on a client's: it is freed on neither, but on a
// reaper thread of the slot's. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/base/mutex.h"
#include "server/versions/serving_version.h"

namespace sf::server {

class ModelSlot {
 public:
  // `on_freed` is called with a version just before it is freed, on the reaper thread.
  explicit ModelSlot(std::function<void(const ServingVersion&)> on_freed = {});
  // Effect: aborts what still runs and frees every version. REQUIRES: no reference to a version but its jobs' is left.
  ~ModelSlot();

  ServingVersionPtr current() const;  // null before the first publish
  int64_t current_version() const;    // its number; 0 = none
  void publish(std::unique_ptr<ServingVersion> version);
  // Effect: nothing is served until the next publish; what runs goes on to its end.
  void retire();
  // The current one and those that finish their requests.
  std::vector<ServingVersionPtr> live() const;
  // Whether one of them has a request: from the reservation to the last event.
  bool has_requests() const;
  // In memory: published and not yet freed.
  int num_live() const;
  // Blocks until at most `count` are.
  void wait_for_live(int count) const;

 private:
  struct Reaper;

  std::unique_ptr<Reaper> reaper_;
  mutable Mutex mutex_;
  ServingVersionPtr current_ SF_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<ServingVersion>> published_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
