// Whether a version's score keeps it from being served. Pure functions.
//
//   const bool is_refused = refused_by_score({0.61, "a"}, {0.97, "a"}, 0.02);  // true: the same evaluation
#pragma once

#include <optional>
#include <string>

namespace sf::server {

// A manifest's score and what it was measured on.
struct EvaluationScore {
  std::optional<double> value = {};
  std::string evaluation_id = {};  // empty: an older manifest, which says nothing of it
};

// Scores are comparable where both are known and of the same evaluation; of two manifests that name none, too.
bool are_comparable(const EvaluationScore& a, const EvaluationScore& b);

// Whether `candidate` scores more than `max_drop` below `serving`, where the two are comparable.
bool refused_by_score(const EvaluationScore& candidate, const EvaluationScore& serving, double max_drop);

}  // namespace sf::server
