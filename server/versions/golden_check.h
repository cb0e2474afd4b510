// The golden check (in metrics and logs the stage `canary`): before a version serves, it is asked the questions that
// its trainer knows the answers of.
//
//   run_golden_check(*engine, candidate->golden());     // throws where an answer differs
//
// The questions go through the engine as requests do (prepare, admit, step), one at a time: eight at once take half the
// time, and a request that arrives meanwhile waits for longer pieces of work. One thread only.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/versions/golden.h"

namespace sf::server {

struct GoldenCheckReport {
  int asked = 0;
  int matched = 0;
  std::string first_difference;  // empty where all match
};

// Effect: asks every question, greedily, and compares. Where there is none, one question about a small image has to
// give finite logits and a text that is not empty. Blocks; leaves no sequence in the engine. REQUIRES: the engine has
// no scheduler yet. Errors: FailedPrecondition for logits that are not finite, a sequence that fails or no text at all;
// what the engine throws.
GoldenCheckReport ask_golden(Engine& engine, const std::vector<GoldenImage>& golden);

// Effect: ask_golden, and judges: on the CPU's reference arithmetic all answers must match, on other devices 95 %.
// Errors: those of ask_golden; FailedPrecondition naming the first answer that differs.
void run_golden_check(Engine& engine, const std::vector<GoldenImage>& golden);

}  // namespace sf::server
