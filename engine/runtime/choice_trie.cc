#include "engine/runtime/choice_trie.h"

#include <algorithm>
#include <cmath>

#include "engine/runtime/sampler.h"

namespace sf {
namespace {

constexpr double kLeastChoiceTemperature = 1e-6;  // below it the likeliest one answers anyhow

double log_sum_exp(const std::vector<float>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const float value : values) sum += std::exp(value - most);
  return most + std::log(sum);
}

}  // namespace

struct ChoiceTrie::Node {
  std::vector<std::pair<int, int>> children;  // token and node, in the order of the choices
  std::vector<int> choices;                   // that end here
};

ChoiceTrie::ChoiceTrie(std::vector<std::string> given, std::vector<std::vector<int>> paths, int end_token)
    : steps_(given.size()), twins_(given.size()) {
  SF_CHECK(!given.empty() && given.size() == paths.size(), "choice_trie: needs a path for every choice");
  texts = std::move(given);
  std::vector<Node> nodes(1);
  for (size_t choice = 0; choice < paths.size(); ++choice) {
    paths[choice].push_back(end_token);
    path_tokens_.push_back(static_cast<int>(paths[choice].size()));
    longest_tokens = std::max(longest_tokens, path_tokens_.back());
    int at = 0;
    for (const int token : paths[choice]) {
      const auto& known = nodes[at].children;
      const auto found = std::find_if(known.begin(), known.end(), [token](const auto& c) { return c.first == token; });
      if (found != known.end()) {
        at = found->second;
        continue;
      }
      nodes[at].children.emplace_back(token, static_cast<int>(nodes.size()));
      at = static_cast<int>(nodes.size());
      nodes.emplace_back();
    }
    nodes[at].choices.push_back(static_cast<int>(choice));
  }
  std::vector<int> path;
  std::vector<std::pair<int, int>> steps;
  collect(nodes, 0, path, steps);
  if (branches_.empty()) branches_.push_back({{}, {paths.front().front()}});
  for (size_t b = 0; b < branches_.size(); ++b) {
    const std::vector<int>& path = branches_[b].path;
    num_tokens += static_cast<int>(path.size()) - (b > 0 ? common_tokens(branches_[b - 1].path, path) : 0);
  }
}

void ChoiceTrie::collect(const std::vector<Node>& nodes, int at, std::vector<int>& path,
                         std::vector<std::pair<int, int>>& steps) {
  const Node& node = nodes[at];
  for (const int choice : node.choices) {
    steps_[choice] = steps;
    twins_[choice] = static_cast<int>(node.choices.size());
  }
  const bool parts = node.children.size() > 1;
  const int branch = static_cast<int>(branches_.size());
  if (parts) {
    branches_.push_back({path, {}});
    for (const auto& [token, child] : node.children) branches_[branch].children.push_back(token);
  }
  for (size_t i = 0; i < node.children.size(); ++i) {
    path.push_back(node.children[i].first);
    if (parts) steps.emplace_back(branch, static_cast<int>(i));
    collect(nodes, node.children[i].second, path, steps);
    if (parts) steps.pop_back();
    path.pop_back();
  }
}

std::vector<double> ChoiceTrie::log_probabilities(const std::vector<std::vector<float>>& logprobs) const {
  std::vector<double> normaliser;
  for (const auto& row : logprobs) normaliser.push_back(log_sum_exp(row));
  std::vector<double> out;
  for (size_t choice = 0; choice < steps_.size(); ++choice) {
    double sum = -std::log(twins_[choice]);
    for (const auto& [branch, child] : steps_[choice]) sum += logprobs[branch][child] - normaliser[branch];
    out.push_back(sum);
  }
  return out;
}

ChosenAnswer ChoiceTrie::choose(const std::vector<std::vector<float>>& logprobs, const SamplingParams& sampling,
                                int64_t position) const {
  const std::vector<double> log_p = log_probabilities(logprobs);
  std::vector<double> scores = log_p;
  if (sampling.temperature > 0) {  // the highest of tempered log-probability and Gumbel noise is a draw
    const double temperature = std::max<double>(sampling.temperature, kLeastChoiceTemperature);
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = scores[i] / temperature - std::log(-std::log(counter_uniform(sampling.seed, position, i)));
    }
  }
  ChosenAnswer chosen;
  chosen.index = static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  chosen.num_tokens = path_tokens_[chosen.index];
  for (const double value : log_p) chosen.probabilities.push_back(std::exp(value));
  return chosen;
}

}  // namespace sf
