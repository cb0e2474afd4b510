// Dashboards, rules and docs/metrics.md name only what the programs export, with the labels that they export.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "server/metrics/metrics.h"
#include "tests/deploy/dashboards.h"
#include "tests/support/paths.h"

namespace sf::deploy {
namespace {

namespace fs = std::filesystem;
using Exported = std::map<std::string, std::set<std::string>>;  // series name -> its labels

const fs::path kRoot = test::source_dir();

std::string read_text(const fs::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

// A scrape of a server that has one version and made one step: every family has its series.
std::string server_scrape() {
  server::Metrics metrics({.model = "sparsefusion", .program_version = "0.0.0"});
  ModelInfo info;
  info.num_layers = 1;
  info.num_experts = 2;
  info.expert_histogram = {5, 5};
  const std::shared_ptr<server::VersionMetrics> version = metrics.add_version(1, info);
  StepResult step;
  step.moe.num_layers = 1;
  step.moe.num_experts = 2;
  step.moe.tokens = {1000, 1000, 1000, 1000};
  step.moe.gate_mass = {1, 1, 1, 1};
  step.moe.overflow_step = step.moe.overflow_request = {0, 0, 0, 0};
  step.moe.capacity_tokens = {4000};
  step.moe.entropy_sum_nats = {1000};
  step.moe.routed_tokens = {4000};
  step.moe.route_seconds = step.moe.experts_seconds = step.moe.combine_seconds = {0.001f};
  server::StepSample sample;
  sample.result = &step;
  version->record_step(sample);
  return metrics.text({.versions = {{.version = 1, .digest = "d", .step = 1}}}, 0);
}

Exported parse_scrape(const std::string& text) {
  static const std::regex series(R"(^([a-z0-9_]+)(?:\{(.*)\})? \S+$)");
  static const std::regex label(R"(([a-z_]+)="[^"]*")");
  Exported exported;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (line.starts_with('#') || !std::regex_match(line, match, series)) continue;
    std::set<std::string>& labels = exported[match[1]];
    const std::string list = match[2];
    for (std::sregex_iterator it(list.begin(), list.end(), label), end; it != end; ++it) labels.insert((*it)[1]);
  }
  return exported;
}

// The families that the tables of docs/metrics.md list, "| `name` | type | labels | ...", as a scrape would show them.
Exported documented(const std::string& prefix) {
  static const std::regex row(R"(^\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \| ([^|]*)\|.*)");
  static const std::regex label(R"(`([a-z_]+)`)");
  Exported families;
  std::istringstream in(read_text(kRoot / "docs/metrics.md"));
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row) || !match[1].str().starts_with(prefix)) continue;
    std::set<std::string> labels;
    const std::string list = match[3];
    for (std::sregex_iterator it(list.begin(), list.end(), label), end; it != end; ++it) labels.insert((*it)[1]);
    if (match[2] == "histogram") {
      families[match[1].str() + "_sum"] = families[match[1].str() + "_count"] = labels;
      labels.insert("le");
      families[match[1].str() + "_bucket"] = labels;
    } else {
      families[match[1]] = labels;
    }
  }
  return families;
}

Exported everything_exported() {
  Exported exported = parse_scrape(server_scrape());
  exported.merge(documented("sparsefusion_train_"));
  return exported;
}

void expect_exported(const std::string& where, const std::string& expr, const Exported& exported) {
  // What Prometheus adds to every series.
  static const std::set<std::string> scrape_labels = {"job", "instance"};
  for (const Selector& selector : selectors_of(expr)) {
    const auto found = exported.find(selector.metric);
    ASSERT_NE(found, exported.end()) << where << " names " << selector.metric << ", which nothing exports";
    for (const std::string& label : selector.labels) {
      EXPECT_TRUE(found->second.contains(label) || scrape_labels.contains(label))
          << where << ": " << selector.metric << " has no label " << label;
    }
  }
}

TEST(ExportedMetricsTest, DashboardsNameOnlyWhatIsExported) {
  const Exported exported = everything_exported();
  size_t num_queries = 0;
  for (const Dashboard& board : read_dashboards(kRoot)) {
    for (const Query& query : board.queries) expect_exported(query.where, query.expr, exported);
    num_queries += board.queries.size();
  }
  EXPECT_GT(num_queries, 60u);
}

TEST(ExportedMetricsTest, RulesNameOnlyWhatIsExported) {
  const Exported exported = everything_exported();
  size_t num_files = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "deploy/prometheus/rules")) {
    std::istringstream in(read_text(entry.path()));
    for (std::string line; std::getline(in, line);) expect_exported(entry.path().filename(), line, exported);
    ++num_files;
  }
  EXPECT_EQ(num_files, 2u);
}

TEST(ExportedMetricsTest, TheDocumentListsExactlyWhatTheServerExports) {
  const Exported exported = parse_scrape(server_scrape());
  Exported listed = documented("sparsefusion_");
  std::erase_if(listed, [](const auto& family) { return family.first.starts_with("sparsefusion_train_"); });
  listed.merge(documented("process_"));
  for (const auto& [series, labels] : exported) {
    ASSERT_TRUE(listed.contains(series)) << "docs/metrics.md does not list " << series;
    EXPECT_EQ(listed.at(series), labels) << series;
  }
  for (const auto& [series, labels] : listed) EXPECT_TRUE(exported.contains(series)) << series << " is not exported";
}

// The trainer needs LibTorch to run, so its families are read from the source that registers them.
TEST(ExportedMetricsTest, TheDocumentListsExactlyWhatTheTrainerExports) {
  static const std::regex name(R"re(Name\("(sparsefusion_train_[a-z_]+)"\))re");
  const std::string source = read_text(kRoot / "trainer/tracking/training_metrics.cc");
  std::set<std::string> registered, listed;
  for (std::sregex_iterator it(source.begin(), source.end(), name), end; it != end; ++it) registered.insert((*it)[1]);
  for (const auto& [family, labels] : documented("sparsefusion_train_")) listed.insert(family);
  EXPECT_EQ(listed, registered);
  EXPECT_EQ(listed.size(), 9u);
}

TEST(ExportedMetricsTest, AnUnknownMetricIsFound) {
  const Exported exported = parse_scrape("sparsefusion_a_total{api=\"rest\"} 1\n");
  EXPECT_TRUE(exported.at("sparsefusion_a_total").contains("api"));
  EXPECT_FALSE(exported.contains("sparsefusion_b_total"));
}

TEST(ExportedMetricsTest, PromtoolFindsNothingToSayAboutAScrape) {
  const std::string file = test::binary_dir() + "/server_scrape.txt";
  std::ofstream(file) << server_scrape();
  EXPECT_EQ(std::system((SF_PROMTOOL " check metrics < " + file).c_str()), 0);
}

}  // namespace
}  // namespace sf::deploy
