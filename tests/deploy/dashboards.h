// The dashboards of deploy/grafana/dashboards as a test reads them.
//
//   for (const Dashboard& board : read_dashboards(root)) for (const Query& query : board.queries) ...
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace sf::deploy {

struct Query {
  std::string where;  // "serving.json: Queue"
  std::string expr;   // with Grafana's variables replaced, so that Prometheus can read it
};

struct Dashboard {
  std::string file;  // "serving.json"
  nlohmann::json json;
  std::vector<Query> queries;  // of panels, annotations and variables
};

// Errors: nlohmann's parse_error for a file that is no JSON.
std::vector<Dashboard> read_dashboards(const std::filesystem::path& root);

// A metric in an expression and the labels that its selector names.
struct Selector {
  std::string metric;
  std::set<std::string> labels;
  auto operator<=>(const Selector&) const = default;
};

// Every `sparsefusion_...` and `process_...` of an expression; recording rules (with a colon) are not metrics.
std::set<Selector> selectors_of(const std::string& expr);

}  // namespace sf::deploy
