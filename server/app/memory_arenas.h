// Where the process's memory comes from. One thread only: main's, before it starts others.
#pragma once

namespace sf::server {

// Effect: malloc keeps one arena for each 8 hardware threads, at least one; for the whole process. REQUIRES: called
// before other threads start.
//
// glibc's default is 8 for each hardware thread. Every version is loaded by threads of its own, each with an arena that
// keeps what was freed in it: a server grew by 30 to 130 MiB over 200 reloads. One arena costs nothing that
// bench/serve.sh sees on two hardware threads.
void use_few_memory_arenas();

}  // namespace sf::server
