#include "engine/runtime/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace sf {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

void read_machine(const fs::path& root, MemoryLimit& limit) {
  std::ifstream in(root / "proc/meminfo");
  int64_t total_kib = -1, available_kib = -1, swap_kib = 0, swap_free_kib = 0;
  std::string name, rest;
  for (int64_t kib = 0; in >> name >> kib && std::getline(in, rest);) {
    if (name == "MemTotal:") total_kib = kib;
    if (name == "MemAvailable:") available_kib = kib;
    if (name == "SwapTotal:") swap_kib = kib;
    if (name == "SwapFree:") swap_free_kib = kib;
  }
  if (total_kib >= 0) limit.total_bytes = (total_kib + swap_kib) * 1024;
  if (available_kib >= 0) limit.free_bytes = (available_kib + swap_free_kib) * 1024;
}

// "max", a number of bytes, or no such file.
int64_t read_bytes(const fs::path& file) {
  std::ifstream in(file);
  int64_t bytes = 0;
  return in >> bytes && bytes >= 0 ? bytes : kUnlimited;
}

// Every group limits those inside it; a container sees its own group as the root.
int64_t read_groups(const fs::path& root) {
  std::ifstream in(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  int64_t least = std::min(read_bytes(mount / "memory.max"), read_bytes(mount / "memory/memory.limit_in_bytes"));
  for (std::string line; std::getline(in, line);) {
    const bool second = line.starts_with("0::/"), first = line.find(":memory:/") != std::string::npos;
    if (!second && !first) continue;
    fs::path group = fs::path(line.substr(line.find('/'))).relative_path();
    for (; !group.empty(); group = group.parent_path()) {
      least = std::min(least, second ? read_bytes(mount / group / "memory.max")
                                     : read_bytes(mount / "memory" / group / "memory.limit_in_bytes"));
    }
  }
  return least;
}

}  // namespace

MemoryLimit memory_limit(const fs::path& root) {
  MemoryLimit limit;
  read_machine(root, limit);
  limit.total_bytes = std::min(limit.total_bytes, read_groups(root));
  limit.free_bytes = std::min(limit.free_bytes, limit.total_bytes);
  return limit;
}

}  // namespace sf
