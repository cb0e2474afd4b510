#include "engine/base/wait_policy.h"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace sf {
namespace {

constexpr const char* kProgram = "/proc/self/exe";
constexpr const char* kPolicy = "OMP_WAIT_POLICY";

// The kernel names a process after the path that was executed: ps and pgrep would find one called "exe".
void restore_name(const char* program) {
  char name[16] = {};
  if (::prctl(PR_GET_NAME, name) != 0 || std::strcmp(name, "exe") != 0 || program == nullptr) return;
  const char* const slash = std::strrchr(program, '/');
  ::prctl(PR_SET_NAME, slash == nullptr ? program : slash + 1);
}

}  // namespace

void wait_without_spinning(char* const argv[], const ExecFunction& exec) {
  restore_name(argv[0]);
  if (std::getenv(kPolicy) != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  // Set before and not taken back: what is started again finds it and goes on.
  if (::getauxval(AT_SECURE) != 0 || ::setenv(kPolicy, "PASSIVE", 1) != 0) return;
  exec(kProgram, argv);
}

void wait_without_spinning(char* const argv[]) {
  wait_without_spinning(argv, [](const char* path, char* const arguments[]) { return ::execv(path, arguments); });
}

}  // namespace sf
