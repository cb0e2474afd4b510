#include "server/app/memory_arenas.h"

#include <malloc.h>

#include <algorithm>
#include <thread>

namespace sf::server {

void use_few_memory_arenas() {
  constexpr int kThreadsPerArena = 8;
  mallopt(M_ARENA_MAX, std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / kThreadsPerArena));
}

}  // namespace sf::server
