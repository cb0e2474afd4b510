// What the answer owes to each part of the image: paint it over and see how much less likely each token becomes
// (Zeiler and Fergus 2014, arXiv 1311.2901). Asks the model itself, so it needs no faith in attention.
//
//   at::Tensor drops = occlusion_drops(sequence, ids, [] {});
//
// Thread-safe beside other uses of the same model; the sequence: one thread only.
#pragma once

#include <vector>

#include "engine/explain/explanation.h"
#include "engine/runtime/explain/explain_pass.h"

namespace sf {

// -> [answer tokens, cells]: the fall of the log-probability of each answer token under the answer so far; windows of
// one cell at half a cell's steps, painted in the image's median colour, each cell the mean of the windows over it.
// `answer` is what follows the prompt in `ids`. Blocks for (2 rows - 1) x (2 columns - 1) passes, in batches; `check`
// is called between them.
at::Tensor occlusion_drops(const ExplainSequence& sequence, const std::vector<int>& ids, const ExplainCheck& check);

}  // namespace sf
