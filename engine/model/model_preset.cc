#include "engine/base/error.h"
#include "engine/model/config.h"
#include "engine/model/preset_files.h"

namespace sf {

ModelConfig model_preset(const std::string& name) {
  std::string known;
  for (const PresetFile& preset : preset_files()) {
    if (preset.name == name) return parse_model_config(preset.config_json);
    known += concat(known.empty() ? "" : ", ", preset.name);
  }
  throw invalid_argument("model", "unknown model preset ", name, "; known: ", known);
}

}  // namespace sf
