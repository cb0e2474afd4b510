// One request inside the engine: its tokens, how far they are computed, the pages that hold their keys and values.
//
//   Sequence sequence{.id = 1, .prompt = prompt, .sampling = sampling, .ids = prompt->tokens.ids};
//
// A Sequence: one thread only, the scheduler's. An EnginePrompt is immutable once it is made.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <torch/torch.h>

#include "engine/checkpoint/sha256.h"
#include "engine/engine.h"
#include "engine/image/preprocess.h"
#include "engine/runtime/capacity_window.h"
#include "engine/runtime/trie_cursor.h"
#include "engine/text/prompt.h"

namespace sf {

// The torch engine's PreparedPrompt: torch-free, so that any thread can make it.
class EnginePrompt : public PreparedPrompt {
 public:
  int num_tokens() const override { return static_cast<int>(tokens.ids.size()); }
  int num_image_tokens() const override {
    int count = 0;
    for (const ImageSpan& span : tokens.images) count += span.count;
    return count;
  }
  double image_decode_seconds() const override { return decode_seconds; }

  PromptTokens tokens;
  std::vector<PixelValues> pixels;               // one per image span
  std::vector<std::pair<int, int>> image_sizes;  // width and height as sent, upright; beside pixels
  std::vector<Sha256Digest> image_digests;  // of `pixels`; empty = the prompt shares nothing through the prefix cache
  double decode_seconds = 0;
  const void* owner = nullptr;  // the engine that made it
};

struct Sequence {
  SequenceId id = 0;
  std::shared_ptr<const EnginePrompt> prompt;
  SamplingParams sampling;
  std::vector<int> ids;  // prompt and answer so far; of one with choices: as far as the next node to score
  int computed = 0;      // tokens whose keys and values are in the cache
  std::vector<int> pages;
  std::vector<at::Tensor> image_PM;  // encoded images, until their span is computed
  CapacityWindow window;
  int counted = 0;                      // tokens whose assignments were reported; recomputing them adds nothing
  bool shares_prefixes = false;         // its pages may be another's, and another's its own
  bool looked_up = false;               // its prompt was looked for in the prefix cache, and that was reported
  std::vector<Sha256Digest> page_keys;  // the prefix cache's key of everything before page i, as far as known
  std::optional<TrieCursor> cursor;     // of one with choices
  // Tokens that others may find: what is tried beyond the prompt is taken back again.
  int shareable() const { return cursor ? std::min(computed, prompt->num_tokens()) : computed; }
};

}  // namespace sf
