#include "tests/deploy/dashboards.h"

#include <algorithm>
#include <fstream>
#include <regex>

namespace sf::deploy {
namespace {

std::string without_variables(std::string expr) {
  static const std::pair<std::regex, const char*> replacements[] = {
      {std::regex(R"(\$__rate_interval)"), "5m"},
      {std::regex(R"(\$(instance|model|version|layer|modality))"), ".*"},
  };
  for (const auto& [variable, value] : replacements) expr = std::regex_replace(expr, variable, value);
  return expr;
}

void add_panel_queries(const std::string& file, const nlohmann::json& panel, std::vector<Query>& queries) {
  for (const nlohmann::json& target : panel.value("targets", nlohmann::json::array())) {
    queries.push_back({file + ": " + panel.at("title").get<std::string>(), without_variables(target.at("expr"))});
  }
}

// label_values(selector, label) asks Prometheus for a selector.
void add_variable_query(const std::string& file, const nlohmann::json& variable, std::vector<Query>& queries) {
  static const std::regex pattern(R"(label_values\((.*), *[a-z_]+\))");
  if (variable.at("type") != "query") return;
  const std::string text = variable.at("query").at("query");
  std::smatch match;
  const bool understood = std::regex_match(text, match, pattern);
  queries.push_back({file + ": variable " + variable.at("name").get<std::string>(),
                     without_variables(understood ? match[1].str() : text)});
}

}  // namespace

std::vector<Dashboard> read_dashboards(const std::filesystem::path& root) {
  std::vector<Dashboard> dashboards;
  for (const auto& entry : std::filesystem::directory_iterator(root / "deploy/grafana/dashboards")) {
    std::ifstream in(entry.path());
    Dashboard board{entry.path().filename().string(), nlohmann::json::parse(in), {}};
    for (const nlohmann::json& panel : board.json.at("panels")) add_panel_queries(board.file, panel, board.queries);
    for (const nlohmann::json& annotation : board.json.at("annotations").at("list")) {
      board.queries.push_back({board.file + ": " + annotation.at("name").get<std::string>(), annotation.at("expr")});
    }
    for (const nlohmann::json& variable : board.json.at("templating").at("list")) {
      add_variable_query(board.file, variable, board.queries);
    }
    dashboards.push_back(std::move(board));
  }
  std::sort(dashboards.begin(), dashboards.end(), [](const auto& a, const auto& b) { return a.file < b.file; });
  return dashboards;
}

std::set<Selector> selectors_of(const std::string& expr) {
  static const std::regex metric(R"(([a-z_:]*)\b((?:sparsefusion|process)_[a-z0-9_]+)(:?)(?:\{([^}]*)\})?)");
  static const std::regex label(R"(([a-z_]+)\s*(?:=~|!~|!=|=)\s*"[^"]*")");
  std::set<Selector> selectors;
  for (std::sregex_iterator it(expr.begin(), expr.end(), metric), end; it != end; ++it) {
    if ((*it)[1].length() > 0 || (*it)[3].length() > 0) continue;
    Selector selector{(*it)[2].str(), {}};
    const std::string matchers = (*it)[4].str();
    for (std::sregex_iterator l(matchers.begin(), matchers.end(), label); l != end; ++l)
      selector.labels.insert((*l)[1]);
    selectors.insert(std::move(selector));
  }
  return selectors;
}

}  // namespace sf::deploy
