// How far one sequence has come with weighing its choices: place after place of their trie.
//
//   ChoiceWalk walk(trie);
//   ids = prompt + walk.place().path;                   // compute these, read the logits behind the last
//   if (walk.weigh(logprobs_of_children)) chosen = walk.choose(sampling, position);
//   else kept = walk.common();                          // so much of the path stays; then the next place()
//
// What was weighed outlives a preemption: only keys and values are computed again. One thread only.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/runtime/choice_trie.h"

namespace sf {

class ChoiceWalk {
 public:
  explicit ChoiceWalk(std::shared_ptr<const ChoiceTrie> trie) : trie_(std::move(trie)) {}

  const ChoiceTrie::Branch& place() const { return trie_->branches()[logprobs_.size()]; }
  // Effect: on to the next place; true after the last one. REQUIRES: one value for each of place().children.
  bool weigh(std::span<const float> logprobs) {
    logprobs_.emplace_back(logprobs.begin(), logprobs.end());
    return logprobs_.size() == trie_->branches().size();
  }
  // Tokens that the path of place() has in common with that of the place before.
  int common() const { return common_tokens(trie_->branches()[logprobs_.size() - 1].path, place().path); }
  // REQUIRES: all places were weighed.
  ChosenAnswer choose(const SamplingParams& sampling, int64_t position) const {
    return trie_->choose(logprobs_, sampling, position);
  }

 private:
  std::shared_ptr<const ChoiceTrie> trie_;
  std::vector<std::vector<float>> logprobs_;  // of the places weighed so far
};

}  // namespace sf
