#include "engine/base/usable_processors.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace sf {
namespace {

namespace fs = std::filesystem;

double quota_of(double quota_us, double period_us) { return quota_us > 0 && period_us > 0 ? quota_us / period_us : 0; }

// "max 100000" or "150000 100000".
double read_second(const fs::path& group) {
  std::ifstream in(group / "cpu.max");
  double quota_us = 0, period_us = 100'000;
  if (!(in >> quota_us)) return 0;
  in >> period_us;
  return quota_of(quota_us, period_us);
}

// -1 says that there is none.
double read_first(const fs::path& group) {
  std::ifstream quota(group / "cpu.cfs_quota_us"), period(group / "cpu.cfs_period_us");
  double quota_us = 0, period_us = 0;
  return quota >> quota_us && period >> period_us ? quota_of(quota_us, period_us) : 0;
}

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// The group itself, and those around it up to the mount's root. A container sees its own group as the root.
std::vector<fs::path> groups_around(const fs::path& mount, const std::string& group) {
  std::vector<fs::path> groups = {mount};
  for (fs::path path = fs::path(group).relative_path(); !path.empty(); path = path.parent_path()) {
    groups.push_back(mount / path);
  }
  return groups;
}

// Processors that the scheduler lets this process run on; a set larger than cpu_set_t's 1024 is asked for with more
// room.
int processors_of_mask() {
  for (int size = 1024; size <= 1 << 16; size *= 4) {
    cpu_set_t* const set = CPU_ALLOC(size);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(size);
    const int count = ::sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

double processor_quota(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  double least = 0;
  const auto take = [&](double quota) {
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  };
  take(read_second(mount));
  for (const char* name : {"cpu", "cpu,cpuacct", "cpuacct,cpu"}) take(read_first(mount / name));
  // Lines of "number:controllers:/path"; of version 2 with number 0 and no controllers.
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (line.starts_with("0:") && controllers.empty()) {
      for (const fs::path& path : groups_around(mount, group)) take(read_second(path));
    } else if (has_word(controllers, "cpu")) {
      for (const fs::path& name : {fs::path(controllers), fs::path("cpu")}) {
        for (const fs::path& path : groups_around(mount / name, group)) take(read_first(path));
      }
    }
  }
  return least;
}

int threads_or_default(int asked) {
  if (asked > 0) return asked;
  const char* const variable = std::getenv("OMP_NUM_THREADS");
  const int named = variable == nullptr ? 0 : std::atoi(variable);
  return named > 0 ? std::min(named, 1024) : usable_processors();
}

int usable_processors(const fs::path& root) {
  const int runnable = processors_of_mask();
  const double quota = processor_quota(root);
  return quota > 0 ? std::clamp(static_cast<int>(std::min(quota, 1e6)), 1, runnable) : runnable;
}

}  // namespace sf
