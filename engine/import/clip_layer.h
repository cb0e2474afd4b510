// One layer of CLIP's vision encoder, alone (clip.cc) or inside a LLaVA (llava.cc).
//
//   const std::vector<ImportTensor> tensors = clip_layer(768, 3072, "vision.block0.", "encoder.layers.0.");
//
// Pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/import/plan.h"

namespace sf {

// `ours` and `theirs` begin the names of the layer's tensors here and there.
std::vector<ImportTensor> clip_layer(int64_t width, int64_t mlp_width, const std::string& ours,
                                     const std::string& theirs);

}  // namespace sf
