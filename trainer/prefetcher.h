// Batches made ahead of time by worker threads. Batch i is a function of i alone, so the stream is the same with any
// number of threads and can be taken up anywhere: resume starts at the step it stopped at.
//
//   Prefetcher<PackedBatch> batches(make_batch, first_step, {.threads = 1, .depth = 4});
//   PackedBatch batch = batches.next();   // make_batch(first_step), then that of the step after it
//
// One thread only calls next(); the workers call `make` at the same time, so that has to be thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace sf {

struct PrefetchOptions {
  int threads = 1;
  int depth = 4;  // batches ready at most
};

template <typename Batch>
class Prefetcher {
 public:
  Prefetcher(std::function<Batch(int64_t)> make, int64_t first, PrefetchOptions options)
      : make_(std::move(make)), depth_(options.depth), claim_(first), deliver_(first) {
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { work(); });
  }

  ~Prefetcher() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // Blocks until the next batch is made. Errors: rethrows what `make` threw.
  Batch next() {
    std::unique_lock lock(mutex_);
    ready_condition_.wait(lock, [&] { return error_ || ready_.count(deliver_) > 0; });
    if (error_) std::rethrow_exception(error_);
    Batch batch = std::move(ready_.extract(deliver_++).mapped());
    lock.unlock();
    room_.notify_all();
    return batch;
  }

 private:
  void work() {
    while (true) {
      int64_t index = 0;
      {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return stopping_ || error_ || claim_ < deliver_ + depth_; });
        if (stopping_ || error_) return;
        index = claim_++;
      }
      try {
        Batch batch = make_(index);
        std::lock_guard lock(mutex_);
        ready_.emplace(index, std::move(batch));
      } catch (...) {
        std::lock_guard lock(mutex_);
        error_ = std::current_exception();
      }
      ready_condition_.notify_all();
    }
  }

  const std::function<Batch(int64_t)> make_;
  const int64_t depth_;
  std::mutex mutex_;
  std::condition_variable room_, ready_condition_;
  std::map<int64_t, Batch> ready_;
  int64_t claim_, deliver_;
  bool stopping_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

}  // namespace sf
