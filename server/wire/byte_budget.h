// A bound on what many requests hold together: bytes are taken from one budget and given back with the lease.
//
//   ByteBudget budget(160 << 20);
//   ByteBudget::Lease lease(&budget);
//   if (!lease.grow(piece.size())) ...      // no room; what the lease holds stays until it ends
//
// Thread-safe; a lease belongs to one thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace sf::server {

class ByteBudget {
 public:
  explicit ByteBudget(size_t max_bytes) : max_bytes_(max_bytes) {}
  size_t max_bytes() const { return max_bytes_; }
  size_t used() const { return used_; }

  class Lease {
   public:
    // Null: everything fits. REQUIRES: the budget outlives the lease.
    explicit Lease(ByteBudget* budget) : budget_(budget) {}
    ~Lease() { release(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    bool grow(size_t bytes) {
      if (budget_ == nullptr) return true;
      size_t used = budget_->used_;
      do {
        if (bytes > budget_->max_bytes_ - used) return false;
      } while (!budget_->used_.compare_exchange_weak(used, used + bytes));
      held_ += bytes;
      return true;
    }
    void release() {
      if (budget_ != nullptr) budget_->used_ -= held_;
      held_ = 0;
    }

   private:
    ByteBudget* const budget_;
    size_t held_ = 0;
  };

 private:
  const size_t max_bytes_;
  std::atomic<size_t> used_ = 0;
};

}  // namespace sf::server
