// The files of engine/model/presets, embedded at build time: model_preset() reads them, from wherever the program runs.
//
//   for (const PresetFile& preset : preset_files()) parse_model_config(preset.config_json);
//
// Thread-safe: immutable.
#pragma once

#include <string_view>
#include <vector>

namespace sf {

struct PresetFile {
  std::string_view name;         // "tiny"
  std::string_view config_json;  // a whole config.json
};

// From the smallest model to the largest, as messages list them.
const std::vector<PresetFile>& preset_files();

}  // namespace sf
