// The token trie over the strings that an answer is chosen from (PreparedChoices in engine.h has the formula).
//
//   auto trie = std::make_shared<const ChoiceTrie>(texts, paths, end_token);
//   for (const ChoiceTrie::Branch& place : trie->branches()) {
//     ...   // put the log-probabilities of place.children, behind place.path, into logprobs
//   }
//   ChosenAnswer chosen = trie->choose(logprobs, sampling, position);
//
// Only where it branches is anything computed: of `circle` and `square` with different first tokens that is the place
// behind the prompt alone. 64 choices have at most 63 such places. Immutable; thread-safe.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace sf {

// Tokens that two paths have in common at their beginning.
inline int common_tokens(const std::vector<int>& a, const std::vector<int>& b) {
  return static_cast<int>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

class ChoiceTrie : public PreparedChoices {
 public:
  // `paths`: the tokens of each text, without the end token. REQUIRES: one path a text, at least one text.
  ChoiceTrie(std::vector<std::string> texts, std::vector<std::vector<int>> paths, int end_token);

  // A place where choices part.
  struct Branch {
    std::vector<int> path;      // tokens behind the prompt
    std::vector<int> children;  // the tokens, all different, that can follow; the end token may be one
  };
  // In the order of a walk that goes down before it goes on, so that what one path has in common with the one before it
  // is a prefix of both. Never empty: of choices that never part it is the place behind the prompt, with one child.
  const std::vector<Branch>& branches() const { return branches_; }

  // logprobs[b][c]: of branches()[b].children[c], whatever constant they all share. `position`: of the answer's first
  // token. REQUIRES: the shape of branches().
  ChosenAnswer choose(const std::vector<std::vector<float>>& logprobs, const SamplingParams& sampling,
                      int64_t position) const;

 private:
  struct Node;
  void collect(const std::vector<Node>& nodes, int at, std::vector<int>& path, std::vector<std::pair<int, int>>& steps);
  std::vector<double> log_probabilities(const std::vector<std::vector<float>>& logprobs) const;

  std::vector<Branch> branches_;
  std::vector<std::vector<std::pair<int, int>>> steps_;  // of each choice: the branch and which child of it
  std::vector<int> path_tokens_;                         // of each choice, the end token included
  std::vector<int> twins_;                               // choices of the same tokens, itself included
};

}  // namespace sf
