// Explains one answer: computes it again outside the cache and keeps what the pass saw. The steps:
// generate the answer, a whole pass a token; one pass over prompt and answer that keeps attention maps, routing and the
// residual stream; heatmaps (heatmap.h, occlusion.h) and logit lens from these.
//
//   Explanation explanation = explain_answer(model, prompt, sampling, {.lens_top = 3}, [] {});
//
// Thread-safe beside steps of the same model: weights are only read, and gradients are of attention maps, never stored
// in a parameter.
#pragma once

#include "engine/explain/explanation.h"
#include "engine/runtime/explain/explain_pass.h"
#include "engine/runtime/sequence.h"

namespace sf {

// Errors: InvalidArgument naming the option at fault, or for a prompt without an image; ResourceExhausted
// (field "method") if the maps to keep would take more than a GiB; Internal for logits that are not finite; what
// `check` throws.
Explanation explain_answer(const ExplainedModel& model, const EnginePrompt& prompt, const SamplingParams& sampling,
                           const ExplainOptions& options, const ExplainCheck& check);

}  // namespace sf
