#include "server/versions/model_slot.h"

#include <algorithm>
#include <utility>

#include "server/versions/background_work.h"

namespace sf::server {

// Frees versions one after the other on its own thread, in gaps between the requests of those that live.
struct ModelSlot::Reaper {
  Reaper(const ModelSlot& owner, std::function<void(const ServingVersion&)> on_freed_callback)
      : slot(owner), on_freed(std::move(on_freed_callback)), thread([this] { run(); }) {}

  ~Reaper() {
    {
      MutexLock lock(mutex);
      stopped = true;
    }
    changed.notify_all();
    thread.join();
  }

  void born() {
    MutexLock lock(mutex);
    ++num_live;
  }

  void take(ServingVersion* version) {
    {
      MutexLock lock(mutex);
      dead.emplace_back(version);
    }
    changed.notify_all();
  }

  void run() {
    while (true) {
      std::unique_ptr<ServingVersion> version;
      {
        MutexLock lock(mutex);
        while (dead.empty() && !stopped) changed.wait(mutex);
        if (dead.empty()) return;
        version = std::move(dead.front());
        dead.pop_front();
      }
      BackgroundThrottle(slot).wait();
      if (on_freed) on_freed(*version);
      version.reset();
      MutexLock lock(mutex);
      --num_live;
      changed.notify_all();
    }
  }

  const ModelSlot& slot;
  const std::function<void(const ServingVersion&)> on_freed;
  mutable Mutex mutex;
  mutable CondVar changed;
  std::deque<std::unique_ptr<ServingVersion>> dead SF_GUARDED_BY(mutex);
  int num_live SF_GUARDED_BY(mutex) = 0;
  bool stopped SF_GUARDED_BY(mutex) = false;
  std::thread thread;  // last: it uses the rest
};

ModelSlot::ModelSlot(std::function<void(const ServingVersion&)> on_freed)
    : reaper_(std::make_unique<Reaper>(*this, std::move(on_freed))) {}

ModelSlot::~ModelSlot() {
  for (const ServingVersionPtr& version : live()) version->scheduler().abort();
  {
    MutexLock lock(mutex_);
    current_.reset();
  }
  wait_for_live(0);
}

ServingVersionPtr ModelSlot::current() const {
  MutexLock lock(mutex_);
  return current_;
}

int64_t ModelSlot::current_version() const {
  MutexLock lock(mutex_);
  return current_ ? current_->version : 0;
}

void ModelSlot::publish(std::unique_ptr<ServingVersion> version) {
  reaper_->born();
  ServingVersionPtr next(version.release(), [reaper = reaper_.get()](ServingVersion* dead) { reaper->take(dead); });
  ServingVersionPtr previous;  // declared before the lock, so that it falls after it
  MutexLock lock(mutex_);
  std::erase_if(published_, [](const auto& published) { return published.expired(); });
  published_.push_back(next);
  previous = std::exchange(current_, std::move(next));
}

void ModelSlot::retire() {
  ServingVersionPtr previous;  // falls after the lock
  MutexLock lock(mutex_);
  previous = std::exchange(current_, nullptr);
}

std::vector<ServingVersionPtr> ModelSlot::live() const {
  std::vector<ServingVersionPtr> versions;
  MutexLock lock(mutex_);
  for (const std::weak_ptr<ServingVersion>& published : published_) {
    if (ServingVersionPtr version = published.lock()) versions.push_back(std::move(version));
  }
  return versions;
}

bool ModelSlot::has_requests() const {
  const std::vector<ServingVersionPtr> versions = live();
  return std::any_of(versions.begin(), versions.end(),
                     [](const ServingVersionPtr& version) { return version->scheduler().has_requests(); });
}

int ModelSlot::num_live() const {
  MutexLock lock(reaper_->mutex);
  return reaper_->num_live;
}

void ModelSlot::wait_for_live(int count) const {
  MutexLock lock(reaper_->mutex);
  while (reaper_->num_live > count) reaper_->changed.wait(reaper_->mutex);
}

}  // namespace sf::server
