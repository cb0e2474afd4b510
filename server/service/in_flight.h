// Requests between submit and the reader that took their terminal event: what a drain waits for. Thread-safe.
#pragma once

#include "engine/base/mutex.h"

namespace sf::server {

class InFlight {
 public:
  void add();
  void remove();
  // False if some are left after `seconds`.
  bool wait_until_none(double seconds);

 private:
  Mutex mutex_;
  CondVar none_left_;
  int count_ SF_GUARDED_BY(mutex_) = 0;
};

}  // namespace sf::server
