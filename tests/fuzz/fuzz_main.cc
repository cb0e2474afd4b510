// All fuzz targets in one program: SF_FUZZ_TARGET=http_form build/asan/bin/fuzz CORPUS. Without it the names are
// printed.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#define SF_FUZZ_TARGET(name) extern "C" int fuzz_##name(const uint8_t* bytes, size_t size);
#include "fuzz_targets.inc"
#undef SF_FUZZ_TARGET

namespace {

using Target = int (*)(const uint8_t* bytes, size_t size);

struct Entry {
  std::string_view name;
  Target target;
};

constexpr Entry kEntries[] = {
#define SF_FUZZ_TARGET(name) {#name, fuzz_##name},
#include "fuzz_targets.inc"
#undef SF_FUZZ_TARGET
};

Target chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const wanted = std::getenv("SF_FUZZ_TARGET");
  for (const Entry& entry : kEntries) {
    if (wanted != nullptr && entry.name == wanted) chosen = entry.target;
  }
  if (chosen != nullptr) return 0;
  for (const Entry& entry : kEntries) std::printf("%s\n", entry.name.data());
  std::exit(wanted == nullptr ? 0 : 2);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) { return chosen(bytes, size); }
