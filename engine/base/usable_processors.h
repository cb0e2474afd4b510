// How many processors this process may use: those it may run on (sched_setaffinity, cpusets), and no more than the
// quota of the control groups it is in (a container's --cpus, systemd's CPUQuota, Kubernetes' limits).
//
//   const int threads = threads_or_default(0);   // 0: as many as this process may use
//
// Thread-safe: free functions.
#pragma once

#include <filesystem>

namespace sf {

// At least 1. A quota is rounded down: a thread more than it covers would wait for the next period, and the others of
// its step for that thread. `root`: where /proc and /sys are looked for; another one in tests. Never throws.
int usable_processors(const std::filesystem::path& root = "/");

// The threads of the maths: `asked`, or where that is 0 OMP_NUM_THREADS, or usable_processors().
int threads_or_default(int asked);

// The tightest quota of the control groups, of version 2 (cpu.max) and 1 (cpu.cfs_quota_us), those around it included,
// in processors; 0 where there is none. Never throws.
double processor_quota(const std::filesystem::path& root = "/");

}  // namespace sf
