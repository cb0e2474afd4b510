#include "server/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace sf::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ModelInfo model_info(std::string digest = "abc") {
  ModelInfo info;
  info.digest = std::move(digest);
  info.num_layers = 2;
  info.num_experts = 2;
  info.expert_histogram = {50, 50, 90, 10};
  return info;
}

// One layer-0 step: `expert0` and `expert1` text tokens.
StepResult routed(uint32_t expert0, uint32_t expert1) {
  StepResult result;
  result.moe.num_layers = 2;
  result.moe.num_experts = 2;
  result.moe.tokens = {0, expert0, 0, expert1, 0, 0, 0, 0};
  result.moe.gate_mass = {0, 0.5f * static_cast<float>(expert0), 0, 0, 0, 0, 0, 0};
  result.moe.overflow_step = {0, 1, 0, 0, 0, 0, 0, 0};
  result.moe.overflow_request = {0, 2, 0, 0, 0, 0, 0, 0};
  result.moe.capacity_tokens = {16, 0};
  result.moe.entropy_sum_nats = {0.25f * static_cast<float>(expert0 + expert1), 0};
  result.moe.routed_tokens = {expert0 + expert1, 0};
  result.moe.route_seconds = {1e-5f, 1e-5f};
  return result;
}

void record(VersionMetrics& version, const StepResult& result) {
  StepSample sample;
  sample.step_seconds = 0.004;
  sample.batch_size = 3;
  sample.result = &result;
  version.record_step(sample);
}

TEST(MetricsTest, EveryFamilyIsThereFromTheFirstScrape) {
  Metrics metrics({});
  auto version = metrics.add_version(1, model_info());
  LiveGauges gauges;
  gauges.versions.push_back({1, "abc", 5, 0});
  const std::string text = metrics.text(gauges, 0);
  const std::set<std::string> windowed = {"sparsefusion_moe_router_entropy_nats",
                                          "sparsefusion_moe_load_imbalance_ratio", "sparsefusion_moe_dead_experts",
                                          "sparsefusion_moe_routing_drift_js"};
  for (const FamilyInfo& info : family_infos()) {
    EXPECT_THAT(text, HasSubstr(std::string("# HELP ") + info.name + " ")) << info.name;
    EXPECT_THAT(text, HasSubstr(std::string("# TYPE ") + info.name + " ")) << info.name;
    const bool has_series = text.find(std::string("\n") + info.name + "{") != std::string::npos ||
                            text.find(std::string("\n") + info.name + " ") != std::string::npos ||
                            text.find(std::string("\n") + info.name + "_bucket{") != std::string::npos;
    EXPECT_EQ(has_series, !windowed.contains(info.name)) << info.name;
  }
}

TEST(MetricsTest, KnownLabelValuesBeginAtZero) {
  Metrics metrics({});
  const std::string text = metrics.text({}, 0);
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_total{api=\"rest\",code=\"200\"} 0"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_total{api=\"grpc\",code=\"OK\"} 0"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_rejected_total{reason=\"queue_full\"} 0"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_cancelled_total{api=\"openai\",phase=\"decode\"} 0"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_model_reloads_total{result=\"refused\",reason=\"score\"} 0"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_model_reload_seconds_count{stage=\"warmup\"} 0"));
}

TEST(MetricsTest, SeriesAreBoundedWhateverClientsSend) {
  Metrics metrics({});
  const size_t before = metrics.text({}, 0).size();
  for (int i = 0; i < 1000; ++i) {
    const std::string junk = "junk" + std::to_string(i);
    metrics.count_request(junk, junk, 0.1);
    metrics.count_request("rest", junk, 0.1);
    metrics.count_rejection(junk);
    metrics.count_cancellation(junk, "decode");
  }
  const std::string text = metrics.text({}, 0);
  EXPECT_LT(text.size(), before + 500);
  EXPECT_THAT(text, Not(HasSubstr("junk")));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_total{api=\"other\",code=\"other\"} 1000"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_total{api=\"rest\",code=\"other\"} 1000"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_rejected_total{reason=\"other\"} 1000"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_cancelled_total{api=\"other\",phase=\"decode\"} 1000"));
}

TEST(MetricsTest, ARefusedRequestHasNoDuration) {
  Metrics metrics({});
  metrics.count_refused("rest", "404");
  metrics.count_request("rest", "200", 0.003);
  const std::string text = metrics.text({}, 0);
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_total{api=\"rest\",code=\"404\"} 1"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_duration_seconds_count{api=\"rest\"} 1"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_duration_seconds_bucket{api=\"rest\",le=\"0.002\"} 0"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_duration_seconds_bucket{api=\"rest\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_duration_seconds_bucket{api=\"rest\",le=\"+Inf\"} 1"));
}

TEST(MetricsTest, CountsExpertsByLayerAndModality) {
  Metrics metrics({});
  auto version = metrics.add_version(7, model_info());
  record(*version, routed(3, 1));
  record(*version, routed(2, 0));
  const std::string text = metrics.text({}, 0);
  const std::string labels = "{model=\"sparsefusion\",version=\"7\",layer=\"0\",expert=\"0\",modality=\"text\"";
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_expert_tokens_total" + labels + "} 5"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_expert_gate_mass_total" + labels + "} 2.5"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_overflow_tokens_total" + labels + ",scope=\"step\"} 2"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_overflow_tokens_total" + labels + ",scope=\"request\"} 4"));
  EXPECT_THAT(text,
              HasSubstr("sparsefusion_moe_capacity_tokens_total{model=\"sparsefusion\",version=\"7\",layer=\"0\"} 32"));
  EXPECT_THAT(text, HasSubstr("stage=\"route\",le=\"+Inf\"} 2"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_batch_size_sum{model=\"sparsefusion\",version=\"7\"} 6"));
}

TEST(MetricsTest, ADenseLayerHasNoSeriesAndTheOthersKeepTheirNumbers) {
  Metrics metrics({});
  ModelInfo info = model_info();
  info.dense_layers = {0};
  auto version = metrics.add_version(1, info);
  record(*version, routed(1, 1));
  std::string text = metrics.text({}, 0);
  EXPECT_THAT(text, Not(HasSubstr("layer=\"0\"")));
  EXPECT_THAT(text, HasSubstr("layer=\"1\""));
  ASSERT_EQ(version->expert_loads().layers.size(), 2u);
  EXPECT_TRUE(version->expert_loads().layers[0].experts.empty());
  EXPECT_EQ(version->expert_loads().layers[1].experts.size(), 2u);
  info.dense_layers = {1, 0};
  auto dense = metrics.add_version(2, info);
  record(*dense, routed(1, 1));
  text = metrics.text({}, 0);
  EXPECT_THAT(text, Not(HasSubstr("version=\"2\",layer=")));
}

// Lines of the three families that have a series an expert.
size_t count_expert_lines(const std::string& text) {
  size_t count = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    for (const char* name : {"sparsefusion_moe_expert_tokens_total{", "sparsefusion_moe_expert_gate_mass_total{",
                             "sparsefusion_moe_overflow_tokens_total{"}) {
      if (line.starts_with(name)) ++count;
    }
  }
  return count;
}

ModelInfo info_of(int num_layers, int num_experts, std::vector<int> dense_layers = {}) {
  ModelInfo info;
  info.num_layers = num_layers;
  info.num_experts = num_experts;
  info.dense_layers = std::move(dense_layers);
  return info;
}

TEST(MetricsTest, ExpertsAreShownWholeByLayerOrNotAtAll) {
  const auto lines = [](ExpertSeries series) {
    Metrics metrics({.program_version = "", .expert_series = series});
    auto version = metrics.add_version(1, info_of(4, 5, {0, 2}));
    return count_expert_lines(metrics.text({}, 0));
  };
  EXPECT_EQ(lines(ExpertSeries::kFull), 2u * 5 * 8);
  EXPECT_EQ(lines(ExpertSeries::kLayer), 2u * 8);
  EXPECT_EQ(lines(ExpertSeries::kOff), 0u);
}

TEST(MetricsTest, ByDefaultExpertsAreShownUpTo4096Series) {
  EXPECT_EQ(count_expert_series(info_of(58, 256)), 118'784);
  EXPECT_EQ(count_expert_series(info_of(2, 8, {0, 1})), 0);
  const auto lines = [](const ModelInfo& info) {
    Metrics metrics({});
    auto version = metrics.add_version(1, info);
    return count_expert_lines(metrics.text({}, 0));
  };
  EXPECT_EQ(lines(info_of(2, 256)), 4096u);
  EXPECT_EQ(lines(info_of(1, 513)), 8u);
  EXPECT_EQ(lines(info_of(3, 256, {1})), 4096u) << "a dense layer has none";
}

TEST(MetricsTest, ALayersSeriesAreTheSumsOfItsExperts) {
  Metrics metrics({.program_version = "", .expert_series = ExpertSeries::kLayer});
  auto version = metrics.add_version(7, model_info());
  record(*version, routed(3, 5));
  record(*version, routed(3, 5));
  const std::string text = metrics.text({}, 0);
  const std::string labels = R"({model="sparsefusion",version="7",layer="0",modality="text")";
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_expert_tokens_total" + labels + "} 16"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_expert_gate_mass_total" + labels + "} 3"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_overflow_tokens_total" + labels + R"(,scope="step"} 2)"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_overflow_tokens_total" + labels + R"(,scope="request"} 4)"));
  EXPECT_EQ(version->expert_loads().layers.at(0).experts.size(), 2u) << "GET /v1/experts shows them all";
}

TEST(MetricsTest, CountsAnswersByTheirEndAndLength) {
  Metrics metrics({});
  auto version = metrics.add_version(7, model_info());
  StepSample sample;
  const StepResult nothing;
  sample.result = &nothing;
  sample.answers = {{.cut = false, .prompt_tokens = 50, .generated_tokens = 2},
                    {.cut = true, .prompt_tokens = 300, .generated_tokens = 256}};
  version->record_step(sample);
  const std::string text = metrics.text({}, 0), labels = R"({model="sparsefusion",version="7")";
  EXPECT_THAT(text, HasSubstr("sparsefusion_answers_total" + labels + R"(,finish_reason="stop"} 1)"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_answers_total" + labels + R"(,finish_reason="length"} 1)"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_prompt_tokens_sum" + labels + "} 350"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_prompt_tokens_bucket" + labels + R"(,le="50"} 1)"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_request_generated_tokens_sum" + labels + "} 258"));
}

TEST(MetricsTest, CountsWhatTheCachesFound) {
  Metrics metrics({});
  auto version = metrics.add_version(7, model_info());
  const std::string labels = "{model=\"sparsefusion\",version=\"7\"} ";
  EXPECT_THAT(metrics.text({}, 0), HasSubstr("sparsefusion_prefix_cache_queries_total" + labels + "0\n"));
  StepResult step;
  step.prefix_cache_queries = 90;
  step.prefix_cache_hits = 36;
  step.image_cache_queries = 2;
  step.image_cache_hits = 1;
  record(*version, step);
  record(*version, step);
  const std::string text = metrics.text({}, 0);
  EXPECT_THAT(text, HasSubstr("sparsefusion_prefix_cache_queries_total" + labels + "180\n"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_prefix_cache_hits_total" + labels + "72\n"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_image_cache_queries_total" + labels + "4\n"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_image_cache_hits_total" + labels + "2\n"));
}

TEST(MetricsTest, AnEngineThatMeasuresNothingIsNoTrouble) {
  Metrics metrics({});
  auto version = metrics.add_version(1, model_info());
  record(*version, StepResult{});
  StepResult other_shape;
  other_shape.moe.num_layers = 9;
  other_shape.moe.num_experts = 64;
  other_shape.moe.tokens.resize(9 * 64 * 2, 1);
  record(*version, other_shape);
  EXPECT_THAT(metrics.text({}, 0),
              HasSubstr("sparsefusion_step_duration_seconds_count{model=\"sparsefusion\",version=\"1\"} 2"));
}

TEST(MetricsTest, WindowedGaugesAppearAfterEnoughTokensAndOnlyForTheirLayer) {
  Metrics metrics({});
  auto version = metrics.add_version(1, model_info());
  for (int i = 0; i < 10; ++i) record(*version, routed(100, 0));
  EXPECT_THAT(metrics.text({}, 0), Not(HasSubstr("\nsparsefusion_moe_dead_experts{")));
  record(*version, routed(24, 0));
  const std::string text = metrics.text({}, 0);
  EXPECT_THAT(text, HasSubstr("sparsefusion_moe_dead_experts{model=\"sparsefusion\",version=\"1\",layer=\"0\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("sparsefusion_moe_load_imbalance_ratio{model=\"sparsefusion\",version=\"1\",layer=\"0\"} 2"));
  EXPECT_THAT(text,
              HasSubstr("sparsefusion_moe_router_entropy_nats{model=\"sparsefusion\",version=\"1\",layer=\"0\"} 0.25"));
  EXPECT_THAT(text,
              HasSubstr("sparsefusion_moe_routing_drift_js{model=\"sparsefusion\",version=\"1\",layer=\"0\"} 0.2"));
  EXPECT_THAT(text, Not(HasSubstr("sparsefusion_moe_dead_experts{model=\"sparsefusion\",version=\"1\",layer=\"1\"}")));
}

TEST(MetricsTest, SeriesOfAFreedVersionVanishAfterFiveMinutes) {
  Metrics metrics({});
  auto version = metrics.add_version(1, model_info());
  metrics.retire_version(version.get(), 1000);
  const std::string during = metrics.text({}, 1299);
  EXPECT_THAT(during, HasSubstr("sparsefusion_generated_tokens_total{model=\"sparsefusion\",version=\"1\"} 0"));
  EXPECT_THAT(during, Not(HasSubstr("\nsparsefusion_kv_cache_usage_ratio{"))) << "a freed cache has no usage";
  EXPECT_THAT(metrics.text({}, 1300), Not(HasSubstr("version=\"1\"")));
}

TEST(MetricsTest, AVersionThatComesBackCountsOn) {
  Metrics metrics({});
  auto first = metrics.add_version(1, model_info());
  record(*first, routed(3, 0));
  metrics.retire_version(first.get(), 1000);
  auto again = metrics.add_version(1, model_info());
  EXPECT_EQ(again, first);
  EXPECT_THAT(metrics.text({}, 5000), HasSubstr("version=\"1\",layer=\"0\",expert=\"0\",modality=\"text\"} 3"));
}

TEST(MetricsTest, OtherBytesUnderTheSameNumberStartAnew) {
  Metrics metrics({});
  auto first = metrics.add_version(1, model_info("abc"));
  record(*first, routed(3, 0));
  auto second = metrics.add_version(1, model_info("def"));
  EXPECT_NE(second, first);
  EXPECT_THAT(metrics.text({}, 0),
              HasSubstr("sparsefusion_moe_expert_tokens_total{model=\"sparsefusion\",version=\"1\","
                        "layer=\"0\",expert=\"0\",modality=\"text\"} 0"));
}

TEST(MetricsTest, NoSeriesTwice) {
  Metrics metrics({});
  auto version = metrics.add_version(1, model_info());
  auto other = metrics.add_version(2, model_info("def"));
  for (int i = 0; i < 20; ++i) record(*version, routed(100, 3));
  std::istringstream in(metrics.text({.versions = {{1, "abc", 5, 0}, {2, "def", 6, 0}}}, 0));
  std::set<std::string> seen;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) continue;
    EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
}

TEST(MetricsTest, ExpertLoadsSayWhatTheSeriesSay) {
  Metrics metrics({});
  auto version = metrics.add_version(7, model_info());
  EXPECT_FALSE(version->expert_loads().layers.at(0).window.has_value());
  for (int i = 0; i < 20; ++i) record(*version, routed(100, 3));
  const ExpertLoads loads = version->expert_loads();
  EXPECT_EQ(loads.version, 7);
  ASSERT_EQ(loads.layers.size(), 2u);
  ASSERT_EQ(loads.layers[0].experts.size(), 2u);
  const std::string text = metrics.text({}, 0);
  for (size_t expert = 0; expert < 2; ++expert) {
    for (const auto& [modality, name] : {std::pair(kImageModality, "image"), std::pair(kTextModality, "text")}) {
      const std::string labels =
          concat("{model=\"sparsefusion\",version=\"7\",layer=\"0\",expert=\"", expert, "\",modality=\"", name, "\"} ");
      EXPECT_THAT(text, HasSubstr(concat("sparsefusion_moe_expert_tokens_total", labels,
                                         loads.layers[0].experts[expert][modality].tokens, "\n")));
    }
  }
  EXPECT_TRUE(loads.layers[0].window.has_value());
  EXPECT_FALSE(loads.layers[1].window.has_value()) << "the layer routed nothing";
}

TEST(MetricsTest, DescribesTheProcess) {
  Metrics metrics({.program_version = "1.2.3"});
  const std::string text = metrics.text({}, 0);
  EXPECT_THAT(text, HasSubstr("sparsefusion_build_info{version=\"1.2.3\"} 1"));
  for (const char* name : {"process_resident_memory_bytes ", "process_open_fds ", "process_start_time_seconds "}) {
    const size_t at = text.find(std::string("\n") + name);
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(std::stod(text.substr(at + 1 + std::string(name).size())), 0) << name;
  }
}

}  // namespace
}  // namespace sf::server
