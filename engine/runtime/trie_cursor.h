// Guided choice: how far one sequence has come with scoring its choices, node after node of their trie.
//
//   TrieCursor cursor(trie);
//   while (!cursor.score(logprobs_of(cursor.node()))) {   // of node().children, behind node().path
//     const int kept = cursor.common();                   // so many tokens of the path stay for the next node
//   }
//   ChosenAnswer chosen = cursor.choose(sampling, position);
//
// Scores outlive a preemption: only keys and values are computed again. One thread only.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/runtime/choice_trie.h"

namespace sf {

class TrieCursor {
 public:
  explicit TrieCursor(std::shared_ptr<const ChoiceTrie> trie) : trie_(std::move(trie)) {}

  const ChoiceTrie::Branch& node() const { return trie_->branches()[logprobs_.size()]; }
  // Effect: on to the next node; true after the last one. REQUIRES: one value for each of node().children.
  bool score(std::span<const float> logprobs) {
    logprobs_.emplace_back(logprobs.begin(), logprobs.end());
    return logprobs_.size() == trie_->branches().size();
  }
  // Tokens that the path of node() has in common with that of the node before.
  int common() const { return common_tokens(trie_->branches()[logprobs_.size() - 1].path, node().path); }
  // REQUIRES: all nodes were scored.
  ChosenAnswer choose(const SamplingParams& sampling, int64_t position) const {
    return trie_->choose(logprobs_, sampling, position);
  }

 private:
  std::shared_ptr<const ChoiceTrie> trie_;
  std::vector<std::vector<float>> logprobs_;  // of the nodes scored so far
};

}  // namespace sf
