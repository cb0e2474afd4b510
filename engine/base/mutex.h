// A mutex that clang's thread-safety analysis can see (libstdc++'s carries no annotations); put it beside what it
// guards.
//
//   Mutex mutex_;
//   CondVar ready_;
//   std::deque<Job> jobs_ SF_GUARDED_BY(mutex_);
//   ...
//   MutexLock lock(mutex_);
//   while (jobs_.empty()) ready_.wait(mutex_);
//
// Thread-safe: Mutex and CondVar. A MutexLock belongs to the thread that made it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SF_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define SF_THREAD_ATTRIBUTE(x)
#endif
#define SF_CAPABILITY(name) SF_THREAD_ATTRIBUTE(capability(name))
#define SF_SCOPED_CAPABILITY SF_THREAD_ATTRIBUTE(scoped_lockable)
#define SF_GUARDED_BY(mutex) SF_THREAD_ATTRIBUTE(guarded_by(mutex))
#define SF_PT_GUARDED_BY(mutex) SF_THREAD_ATTRIBUTE(pt_guarded_by(mutex))
#define SF_REQUIRES(...) SF_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define SF_ACQUIRE(...) SF_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define SF_RELEASE(...) SF_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define SF_EXCLUDES(...) SF_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define SF_NO_THREAD_SAFETY_ANALYSIS SF_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace sf {

class SF_CAPABILITY("mutex") Mutex {
 public:
  void lock() SF_ACQUIRE() { mutex_.lock(); }
  void unlock() SF_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SF_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SF_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() SF_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Wakes may be spurious: wait in a loop over the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) SF_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if `deadline` passed.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) SF_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  bool wait_for(Mutex& mutex, std::chrono::steady_clock::duration duration) SF_REQUIRES(mutex) {
    return wait_until(mutex, std::chrono::steady_clock::now() + duration);
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace sf
