#include "server/versions/score_rule.h"

namespace sf::server {

bool are_comparable(const EvaluationScore& a, const EvaluationScore& b) {
  return a.value && b.value && a.evaluation_id == b.evaluation_id;
}

bool refused_by_score(const EvaluationScore& candidate, const EvaluationScore& serving, double max_drop) {
  return are_comparable(candidate, serving) && *candidate.value < *serving.value - max_drop;
}

}  // namespace sf::server
