#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/import/registry.h"
#include "tools/model/commands.h"

namespace sf {
namespace {

Dtype parse_dtype(const std::string& name) {
  if (name == "f32") return Dtype::kF32;
  if (name == "bf16") return Dtype::kBF16;
  throw invalid_argument("dtype", "dtype: must be f32 or bf16, got ", name);
}

// getrusage would count what a large parent had resident when it started this process.
int64_t peak_rss_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) >> 10;  // KiB
  }
  return 0;
}

}  // namespace

int convert_command(const OfflineCommandOptions& options) {
  ImportOptions import;
  import.source = options.source;
  import.destination = options.destination;
  import.prompt_template = options.prompt_template;
  import.dtype = parse_dtype(options.dtype);
  import.characters = options.characters;
  constexpr int64_t kMebi = 1 << 20;
  std::optional<Progress> progress;
  import.progress = [&](int64_t done, int64_t total) { if (!progress) progress.emplace("convert", total / kMebi, "MiB");
  progress->update(done / kMebi);
};
import_checkpoint(options.from, import, options.vision);
if (progress) progress->finish();
std::cout << "wrote " << options.destination << "\npeak RSS " << peak_rss_mib() << " MiB\n";
return 0;
}  // namespace sf

}  // namespace sf
