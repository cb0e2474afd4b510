// How much memory this process can have, as the kernel says: of the machine, and of the control groups it runs in (a
// container's limit, systemd's MemoryMax).
//
//   const MemoryLimit memory = memory_limit();
//   if (cache_bytes > memory.total_bytes) ...
//
// Thread-safe: a free function.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

namespace sf {

// What is not known counts as no limit.
struct MemoryLimit {
  int64_t total_bytes = std::numeric_limits<int64_t>::max();  // never more than this
  int64_t free_bytes = std::numeric_limits<int64_t>::max();   // not more than this now, swap included
};

// `root`: where /proc and /sys are looked for; another one in tests. Never throws.
MemoryLimit memory_limit(const std::filesystem::path& root = "/");

}  // namespace sf
