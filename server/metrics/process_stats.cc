#include "server/metrics/process_stats.h"

#include <dirent.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace sf::server {
namespace {

double resident_bytes() {
  std::ifstream in("/proc/self/statm");
  double total_pages = 0, resident_pages = 0;
  in >> total_pages >> resident_pages;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count - 1;  // without the one that reads this directory
}

struct ProcessTimes {
  double start_ticks = 0;  // since boot
  double cpu_ticks = 0;
};

ProcessTimes process_times() {
  std::ifstream in("/proc/self/stat");
  std::string line;
  std::getline(in, line);
  // The program's name, in brackets, may hold spaces and brackets; field 3 follows the last of them.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  ProcessTimes times;
  double user = 0, system = 0;
  for (int field = 3; field <= 13; ++field) fields >> skipped;
  fields >> user >> system;
  for (int field = 16; field <= 21; ++field) fields >> skipped;
  fields >> times.start_ticks;
  times.cpu_ticks = user + system;
  return times;
}

double boot_time() {
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return 0;
}

}  // namespace

void collect_process(FamilySet& families) {
  const double ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const ProcessTimes times = process_times();
  families["process_resident_memory_bytes"].add({}, resident_bytes());
  families["process_open_fds"].add({}, open_descriptors());
  families["process_start_time_seconds"].add({}, boot_time() + times.start_ticks / ticks_per_second);
  families["process_cpu_seconds_total"].add({}, times.cpu_ticks / ticks_per_second);
}

}  // namespace sf::server
