// What the experts specialise in, counted over many explanations (OLMoE, arXiv 2409.02060, section 5): by modality, by
// domain (the kind of question), by input token, and which experts act together. All pairs of a token's experts count.
//
//   ExpertTables tables(layers, experts);
//   tables.add(explanation, "shape");
//   tables.print();
//
// One thread at a time.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "engine/explain/explanation.h"

namespace sf {

class ExpertTables {
 public:
  using Matrix = std::vector<std::vector<double>>;

  ExpertTables(int num_layers, int num_experts);

  // Counts every token of the explanation; its text tokens under `domain`.
  void add(const Explanation& e, const std::string& domain);

  // [layers][experts]: the share of the modality's assignments; rows sum to 1.
  Matrix usage(bool image) const;
  // Per layer: Jensen-Shannon divergence of the two usages, nats; 0 = the same experts, ln 2 = no expert in common.
  std::vector<double> modality_divergence() const;
  // [layers] of [experts][experts]: N_ij / N_i, the share of expert i's tokens that expert j works on too; 1 at i = j.
  Matrix coactivation(int layer) const;
  // Domain -> [layers][experts]: N_iD / N_D, the share of the domain's text tokens that the expert works on; rows sum
  // to top-k.
  std::map<std::string, Matrix> domain_specialisation() const;
  // N_xi / N_x of the input token x, for tokens seen at least `least` times.
  std::map<std::string, std::vector<double>> vocabulary_specialisation(int layer, int least) const;

  void print() const;

 private:
  struct Domain {
    double tokens = 0;
    Matrix counts;
  };
  struct Word {
    double tokens = 0;
    Matrix counts;
  };

  void print_usage() const;
  void print_domains() const;
  void print_coactivation() const;
  void print_vocabulary() const;
  bool routes(int layer) const;  // false for a dense layer, which the tables leave out

  int num_layers_, num_experts_;
  std::array<Matrix, 2> counts_;  // text, image
  std::vector<Matrix> pairs_;     // [layers][experts][experts]; the diagonal counts the expert's tokens
  std::map<std::string, Domain> domains_;
  std::map<std::string, Word> words_;  // by piece
};

// Jensen-Shannon divergence of two distributions, nats.
double jensen_shannon(const std::vector<double>& p, const std::vector<double>& q);

}  // namespace sf
