#include "server/app/memory_arenas.h"

#include <malloc.h>

#include <algorithm>

#include "engine/base/usable_processors.h"

namespace sf::server {

void use_few_memory_arenas() {
  constexpr int kThreadsPerArena = 8;
  mallopt(M_ARENA_MAX, std::max(1, usable_processors() / kThreadsPerArena));
}

}  // namespace sf::server
