// What an operator may ask of the versions: load, pin, unpin, rollback, load the newest, unload. Each does its work
// before it returns; reloader.h runs them on its thread, between two polls.
//
//   Commands commands(catalog, loader, slot, PinFile(store / ".pinned"));
//   commands.pin(3);                    // serves version 3 and no other, over restarts too
//   int64_t served = commands.load_newest();
//
// One thread at a time: that of the loader.
#pragma once

#include <cstdint>

#include "server/versions/loader.h"

namespace sf::server {

class Commands {
 public:
  // REQUIRES: the references outlive this.
  Commands(Catalog& catalog, Loader& loader, ModelSlot& slot, PinFile pin_file);

  // Effect: serves this version, without regard to scores, until a newer one is published (pin it to keep it).
  // Errors: NotFound; FailedPrecondition with the reason where it is refused or another one is pinned;
  // ResourceExhausted where memory is short; Unavailable for a fault of the machine.
  void load(int64_t version);
  // Effect: serves this version (0: the one served now) and no other, over restarts too. Errors: those of load() and of
  // PinFile::write; then nothing is changed.
  void pin(int64_t version);
  // Effect: the newest version counts again. Errors: those of PinFile::clear.
  void unpin();
  // Effect: pins the version served before this one; where this process knows none, the highest below it that is not
  // quarantined. Returns it. Errors: those of pin(); FailedPrecondition where there is none.
  int64_t rollback();
  // Effect: looks at the source and serves what a poll would: the newest version that is not quarantined (the pinned
  // one where one is), whatever load() chose before. Nothing where that one serves already. Returns the version served.
  // Errors: FailedPrecondition with the reason where every newer version is quarantined, or there is none to serve;
  // ResourceExhausted where memory is short; Unavailable where the source cannot be read, or for a fault of the
  // machine. Then nothing is changed.
  int64_t load_newest();
  // Effect: nothing is served, and polls publish nothing, until one of the other commands publishes a version; what
  // runs goes on to its end. A pin stays. Not over restarts. A second call has no effect.
  void unload();

 private:
  void serve(int64_t version);
  void serve_pinned(int64_t version);
  int64_t served_last() const;

  Catalog& catalog_;
  Loader& loader_;
  ModelSlot& slot_;
  const PinFile pin_file_;
};

}  // namespace sf::server
