// At most --decode-threads requests decode pictures at once; the others wait in line on their own threads.
//
//   if (!gate.enter(seconds_left)) throw Error(kDeadlineExceeded, ...);
//   DecodeGate::Leave leave(gate);
//
// Thread-safe.
#pragma once

#include "engine/base/mutex.h"

namespace sf::server {

class DecodeGate {
 public:
  explicit DecodeGate(int slots) : free_(slots) {}
  // False if no place came free in `seconds`.
  bool enter(double seconds);
  void leave();

  class Leave {
   public:
    explicit Leave(DecodeGate& gate) : gate_(gate) {}
    ~Leave() { gate_.leave(); }
    Leave(const Leave&) = delete;
    Leave& operator=(const Leave&) = delete;

   private:
    DecodeGate& gate_;
  };

 private:
  Mutex mutex_;
  CondVar changed_;
  int free_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
