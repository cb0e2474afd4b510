// What Grafana would refuse or show wrongly, found without Grafana.
#include "tests/deploy/dashboards.h"
#include "tests/support/paths.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

namespace sf::deploy {
namespace {

using nlohmann::json;

class DashboardsTest : public ::testing::Test {
 protected:
  const std::vector<Dashboard> dashboards_ = read_dashboards(test::source_dir());

  template <typename Check>
  void for_each_panel(Check check) const {
    for (const Dashboard& board : dashboards_) {
      for (const json& panel : board.json.at("panels")) {
        if (panel.at("type") != "row") check(board.file + ": " + panel.at("title").get<std::string>(), panel);
      }
    }
  }
};

bool overlap(const json& a, const json& b) {
  const auto apart = [](int start_a, int size_a, int start_b, int size_b) {
    return start_a + size_a <= start_b || start_b + size_b <= start_a;
  };
  return !apart(a.at("x"), a.at("w"), b.at("x"), b.at("w")) && !apart(a.at("y"), a.at("h"), b.at("y"), b.at("h"));
}

TEST_F(DashboardsTest, TheThreeBoardsAreThereAndLeadToEachOther) {
  ASSERT_EQ(dashboards_.size(), 3u);
  const std::string uids[] = {"sparsefusion-experts", "sparsefusion-serving", "sparsefusion-training"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(dashboards_[i].json.at("uid"), uids[i]);
    std::set<std::string> linked{uids[i]};
    for (const json& link : dashboards_[i].json.at("links")) linked.insert(link.at("url").get<std::string>().substr(3));
    EXPECT_EQ(linked, (std::set<std::string>{uids[0], uids[1], uids[2]})) << dashboards_[i].file;
  }
  for (const Dashboard& board : dashboards_) {
    EXPECT_TRUE(board.json.at("id").is_null()) << board.file << ": a fixed id collides with what a Grafana holds";
    EXPECT_FALSE(board.json.contains("__inputs")) << board.file << ": would have to be imported by hand";
  }
}

TEST_F(DashboardsTest, PanelsHaveOwnIdsAndDoNotOverlap) {
  for (const Dashboard& board : dashboards_) {
    std::set<int> ids;
    const json& panels = board.json.at("panels");
    for (size_t i = 0; i < panels.size(); ++i) {
      EXPECT_TRUE(ids.insert(panels[i].at("id").get<int>()).second) << board.file << ": " << panels[i].at("title");
      EXPECT_LE(panels[i].at("gridPos").at("x").get<int>() + panels[i].at("gridPos").at("w").get<int>(), 24);
      for (size_t k = 0; k < i; ++k) {
        EXPECT_FALSE(overlap(panels[i].at("gridPos"), panels[k].at("gridPos")))
            << board.file << ": " << panels[i].at("title") << " lies on " << panels[k].at("title");
      }
    }
  }
}

TEST_F(DashboardsTest, EveryPanelSaysWhatItShowsInWhichUnitFromWhere) {
  for_each_panel([](const std::string& where, const json& panel) {
    EXPECT_GT(panel.at("description").get<std::string>().size(), 10u) << where;
    EXPECT_FALSE(panel.at("fieldConfig").at("defaults").at("unit").get<std::string>().empty()) << where;
    EXPECT_EQ(panel.at("datasource").at("uid"), "${datasource}") << where;
    EXPECT_FALSE(panel.at("targets").empty()) << where;
    std::set<std::string> refs;
    for (const json& target : panel.at("targets")) {
      EXPECT_TRUE(refs.insert(target.at("refId")).second) << where;
      EXPECT_EQ(target.at("datasource").at("uid"), "${datasource}") << where;
    }
  });
}

TEST_F(DashboardsTest, TheDataSourceIsTheProvisionedOne) {
  std::ifstream in(test::source_dir() + "/deploy/grafana/provisioning/datasources/prometheus.yaml");
  const std::string provisioned((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NE(provisioned.find("uid: prometheus\n"), std::string::npos);
  for (const Dashboard& board : dashboards_) {
    EXPECT_EQ(board.json.at("templating").at("list").at(0).at("current").at("value"), "prometheus") << board.file;
  }
}

TEST_F(DashboardsTest, WhatOperatorsLookForIsThere) {
  std::set<std::string> titles;
  for_each_panel([&](const std::string& where, const json&) { titles.insert(where); });
  for (const char* title :
       {"serving.json: Time to first token", "serving.json: Reloads", "serving.json: Versions in memory",
        "serving.json: Expert load over time", "experts.json: Expert load of image tokens by layer and expert",
        "experts.json: Expert load of text tokens by layer and expert", "experts.json: Overflow by layer and modality",
        "experts.json: Load imbalance", "experts.json: Router entropy", "experts.json: Routing drift",
        "experts.json: Dead experts by layer", "experts.json: Hottest expert", "serving.json: Hottest expert",
        "serving.json: Alerts", "serving.json: Alerts firing", "serving.json: Prompt length",
        "serving.json: Answer length", "serving.json: Finish reasons", "training.json: Loss by part"}) {
    EXPECT_TRUE(titles.contains(title)) << title;
  }
}

TEST_F(DashboardsTest, ALoadMapHasARowALayerAndAColumnAnExpert) {
  size_t num_maps = 0;
  for_each_panel([&](const std::string& where, const json& panel) {
    if (where.find("by layer and expert") == std::string::npos) return;
    ++num_maps;
    EXPECT_EQ(panel.at("transformations").at(0).at("id"), "groupingToMatrix") << where;
    EXPECT_EQ(panel.at("transformations").at(0).at("options").at("rowField"), "layer") << where;
    EXPECT_EQ(panel.at("transformations").at(0).at("options").at("columnField"), "expert") << where;
  });
  EXPECT_EQ(num_maps, 2u);
}

// A sum, a mean or a quantile over replicas hides the one that is slow, full or lopsided.
TEST_F(DashboardsTest, EveryAggregationKeepsTheReplicasApart) {
  static const std::regex aggregation(R"(\b(sum|avg|min|max|count|topk) ?(by \(([^)]*)\))?)");
  size_t num_aggregations = 0;
  for_each_panel([&](const std::string& where, const json& panel) {
    for (const json& target : panel.at("targets")) {
      const std::string expr = target.at("expr");
      if (expr.find("ALERTS") != std::string::npos) continue;  // their labels say which replica
      for (std::sregex_iterator it(expr.begin(), expr.end(), aggregation), end; it != end; ++it) {
        ++num_aggregations;
        EXPECT_NE((*it)[3].str().find("instance"), std::string::npos) << where << ": " << expr;
      }
    }
  });
  EXPECT_GT(num_aggregations, 50u);
}

TEST_F(DashboardsTest, ReplicaAndVersionCanBeChosenAndCountEverywhere) {
  for (const Dashboard& board : dashboards_) {
    if (board.file == "training.json") continue;
    std::set<std::string> variables;
    for (const json& variable : board.json.at("templating").at("list")) variables.insert(variable.at("name"));
    EXPECT_TRUE(variables.contains("instance") && variables.contains("version")) << board.file;
    for (const json& panel : board.json.at("panels")) {
      for (const json& target : panel.value("targets", json::array())) {
        const std::string expr = target.at("expr");
        if (expr.find("ALERTS") != std::string::npos) continue;
        EXPECT_NE(expr.find("instance=~\"$instance\""), std::string::npos) << board.file << ": " << expr;
        const bool by_version = expr.find("$model") != std::string::npos;
        if (by_version) {
          EXPECT_NE(expr.find("version=~\"$version\""), std::string::npos) << board.file << ": " << expr;
        }
      }
    }
  }
}

// An expert's share says nothing without the number of experts; its load over an even one does.
TEST_F(DashboardsTest, ExpertsAreColouredRelativeToAnEvenLoad) {
  size_t num_panels = 0;
  for_each_panel([&](const std::string& where, const json& panel) {
    if (where.find("Expert load") == std::string::npos) return;
    ++num_panels;
    const std::string expr = panel.at("targets").at(0).at("expr");
    EXPECT_NE(expr.find("group_left () (avg by (instance, layer)"), std::string::npos) << where;
    if (panel.at("type") == "heatmap") {
      EXPECT_EQ(panel.at("options").at("color").at("max"), 2) << where << ": an even load is in the middle";
    } else {
      EXPECT_EQ(panel.at("fieldConfig").at("defaults").at("color").at("mode"), "thresholds") << where;
    }
  });
  EXPECT_EQ(num_panels, 6u);
}

// promtool reads recording rules, JSON being YAML; so each query becomes one.
TEST_F(DashboardsTest, PrometheusUnderstandsEveryQuery) {
  json rules = json::array();
  for (const Dashboard& board : dashboards_) {
    for (const Query& query : board.queries) {
      EXPECT_EQ(query.expr.find('$'), std::string::npos) << query.where << ": unknown variable in " << query.expr;
      rules.push_back({{"record", "query:number" + std::to_string(rules.size())}, {"expr", query.expr}});
    }
  }
  ASSERT_GT(rules.size(), 60u);
  const std::string file = test::binary_dir() + "/dashboard_queries.yml";
  std::ofstream(file) << json{{"groups", {{{"name", "dashboards"}, {"rules", rules}}}}}.dump(1);
  EXPECT_EQ(std::system((SF_PROMTOOL " check rules --lint=none " + file).c_str()), 0);
}

TEST(SelectorsTest, FindsMetricsAndTheirLabels) {
  EXPECT_EQ(selectors_of(R"(sum by (le) (rate(sparsefusion_a_bucket{model=~".*",code!="5"}[5m])) / sparsefusion_b)"),
            (std::set<Selector>{{"sparsefusion_a_bucket", {"model", "code"}}, {"sparsefusion_b", {}}}));
}

TEST(SelectorsTest, IgnoresRecordingRulesAndBuiltInMetrics) {
  EXPECT_EQ(selectors_of(R"(job:sparsefusion_errors:ratio5m > up{job="x"})"), std::set<Selector>{});
}

}  // namespace
}  // namespace sf::deploy
