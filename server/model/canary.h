// The last look at a version before it answers anybody: it is asked what its trainer knows the answer of.
//
//   run_canary(*engine, candidate->golden());     // throws where an answer differs
//
// The questions go through the engine as requests do (prepare, admit, step), one at a time: eight
// at once take half the time, and a request that arrives meanwhile waits for longer pieces of work.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/model/golden.h"

namespace sf::server {

struct CanaryReport {
  int asked = 0;
  int matched = 0;
  std::string first_difference;  // empty where all match
};

// Effect: asks every question, greedily, and compares. Where there is none, one question about a small picture has to
// give finite logits and a text that is not empty. Blocks; leaves no sequence in the engine. REQUIRES: the engine has
// no scheduler yet. Errors: FailedPrecondition for logits that are not finite, a sequence that fails or no text at all;
// what the engine throws.
CanaryReport ask_golden(Engine& engine, const std::vector<GoldenPicture>& golden);

// Effect: ask_golden, and judges: on the CPU's reference arithmetic all answers must match, on other devices 95 %.
// Errors: those of ask_golden; FailedPrecondition naming the first answer that differs.
void run_canary(Engine& engine, const std::vector<GoldenPicture>& golden);

}  // namespace sf::server
