#include "tools/model/expert_tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr int kLeastSeen = 10;  // OLMoE's: rarer tokens say little
constexpr size_t kWordsShown = 5;

ExpertTables::Matrix zeros(int rows, int columns) {
  return ExpertTables::Matrix(static_cast<size_t>(rows), std::vector<double>(static_cast<size_t>(columns)));
}

void divide(std::vector<double>& row, double by) {
  for (double& value : row) value = by > 0 ? value / by : 0;
}

double sum(const std::vector<double>& row) {
  double total = 0;
  for (double value : row) total += value;
  return total;
}

void print_header(const char* first, int num_experts) {
  std::printf("%-22s", first);
  for (int e = 0; e < num_experts; ++e) std::printf(" %6s", concat("e", e).c_str());
  std::printf("\n");
}

void print_row(const std::string& name, const std::vector<double>& shares) {
  std::printf("%-22s", name.c_str());
  for (double share : shares) std::printf(" %5.1f%%", 100 * share);
  std::printf("\n");
}

}  // namespace

double jensen_shannon(const std::vector<double>& p, const std::vector<double>& q) {
  double divergence = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double mean = (p[i] + q[i]) / 2;
    if (p[i] > 0) divergence += p[i] / 2 * std::log(p[i] / mean);
    if (q[i] > 0) divergence += q[i] / 2 * std::log(q[i] / mean);
  }
  return divergence;
}

ExpertTables::ExpertTables(int num_layers, int num_experts)
    : num_layers_(num_layers),
      num_experts_(num_experts),
      counts_{zeros(num_layers, num_experts), zeros(num_layers, num_experts)},
      pairs_(static_cast<size_t>(num_layers), zeros(num_experts, num_experts)) {}

void ExpertTables::add(const Explanation& e, const std::string& domain) {
  Domain& in_domain = domains_.try_emplace(domain, Domain{0, zeros(num_layers_, num_experts_)}).first->second;
  for (const TokenRouting& token : e.routing) {
    Word* word = nullptr;
    if (!token.image) {
      word = &words_.try_emplace(token.text, Word{0, zeros(num_layers_, num_experts_)}).first->second;
      ++word->tokens;
      ++in_domain.tokens;
    }
    for (int layer = 0; layer < num_layers_; ++layer) {
      for (int i : token.ids[layer]) {
        ++counts_[token.image][layer][i];
        for (int j : token.ids[layer]) ++pairs_[layer][i][j];
        if (!word) continue;
        ++word->counts[layer][i];
        ++in_domain.counts[layer][i];
      }
    }
  }
}

ExpertTables::Matrix ExpertTables::usage(bool image) const {
  Matrix shares = counts_[image];
  for (auto& row : shares) divide(row, sum(row));
  return shares;
}

std::vector<double> ExpertTables::modality_divergence() const {
  const Matrix image = usage(true), text = usage(false);
  std::vector<double> divergence;
  for (int layer = 0; layer < num_layers_; ++layer) divergence.push_back(jensen_shannon(image[layer], text[layer]));
  return divergence;
}

ExpertTables::Matrix ExpertTables::coactivation(int layer) const {
  Matrix shares = pairs_[layer];
  for (int i = 0; i < num_experts_; ++i) divide(shares[i], pairs_[layer][i][i]);
  return shares;
}

std::map<std::string, ExpertTables::Matrix> ExpertTables::domain_specialisation() const {
  std::map<std::string, Matrix> out;
  for (const auto& [name, domain] : domains_) {
    Matrix shares = domain.counts;
    for (auto& row : shares) divide(row, domain.tokens);
    out.emplace(name, std::move(shares));
  }
  return out;
}

std::map<std::string, std::vector<double>> ExpertTables::vocabulary_specialisation(int layer, int least) const {
  std::map<std::string, std::vector<double>> out;
  for (const auto& [piece, word] : words_) {
    if (word.tokens < least) continue;
    std::vector<double> shares = word.counts[layer];
    divide(shares, word.tokens);
    out.emplace(piece, std::move(shares));
  }
  return out;
}

bool ExpertTables::routes(int layer) const { return sum(counts_[0][layer]) + sum(counts_[1][layer]) > 0; }

void ExpertTables::print() const {
  print_usage();
  print_domains();
  print_coactivation();
  print_vocabulary();
}

void ExpertTables::print_usage() const {
  std::printf(
      "\nexpert usage by modality (%% of a layer's assignments) and Jensen-Shannon divergence image/text (ln 2 = "
      "0.693)\n");
  print_header("layer", num_experts_);
  const Matrix image = usage(true), text = usage(false);
  const std::vector<double> divergence = modality_divergence();
  for (int layer = 0; layer < num_layers_; ++layer) {
    if (!routes(layer)) continue;
    print_row(concat(layer, " image"), image[layer]);
    print_row(concat(layer, " text"), text[layer]);
    std::printf("%-22s %.3f nats\n", concat(layer, " divergence").c_str(), divergence[layer]);
  }
}

void ExpertTables::print_domains() const {
  std::printf("\ndomain specialisation N_iD/N_D: %% of a kind's text tokens that the expert works on\n");
  const auto domains = domain_specialisation();
  for (int layer = 0; layer < num_layers_; ++layer) {
    if (!routes(layer)) continue;
    print_header(concat("layer ", layer).c_str(), num_experts_);
    for (const auto& [name, shares] : domains) print_row(name, shares[layer]);
  }
}

void ExpertTables::print_coactivation() const {
  std::printf("\nco-activation N_ij/N_i: %% of the row's tokens that the column works on too, all pairs\n");
  for (int layer = 0; layer < num_layers_; ++layer) {
    if (!routes(layer)) continue;
    print_header(concat("layer ", layer).c_str(), num_experts_);
    const Matrix shares = coactivation(layer);
    for (int i = 0; i < num_experts_; ++i) print_row(concat("e", i), shares[i]);
  }
}

void ExpertTables::print_vocabulary() const {
  std::printf(
      "\nvocabulary specialisation N_xi/N_x by input token, tokens seen %d times or more: the most faithful ones\n",
      kLeastSeen);
  for (int layer = 0; layer < num_layers_; ++layer) {
    if (!routes(layer)) continue;
    const auto words = vocabulary_specialisation(layer, kLeastSeen);
    for (int i = 0; i < num_experts_; ++i) {
      std::vector<std::pair<double, std::string>> best;
      for (const auto& [piece, shares] : words) best.emplace_back(shares[i], piece);
      std::stable_sort(best.begin(), best.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
      std::printf("%-22s", concat("layer ", layer, " e", i).c_str());
      for (size_t n = 0; n < std::min(kWordsShown, best.size()); ++n) {
        std::printf(" \"%s\" %.0f%%", best[n].second.c_str(), 100 * best[n].first);
      }
      std::printf("\n");
    }
  }
}

}  // namespace sf
