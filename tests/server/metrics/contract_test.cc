// The families that dashboards rely on: names, types, labels and the label values that are there from the first scrape.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/metrics/metrics.h"
#include "tests/support/scrape.h"

namespace sf::server {
namespace {

using ::testing::IsSupersetOf;
using Names = std::set<std::string>;

struct Contract {
  const char* name;
  const char* type;
  Names labels;
};

const std::vector<Contract>& contract() {
  static const Names version = {"model", "version"}, layer = {"model", "version", "layer"},
                     expert = {"model", "version", "layer", "expert", "modality"};
  static const std::vector<Contract> families = {
      {"requests_total", "counter", {"api", "code"}},
      {"requests_rejected_total", "counter", {"reason"}},
      {"requests_cancelled_total", "counter", {"api", "phase"}},
      {"otlp_metric_exports_total", "counter", {"result"}},
      {"requests_inflight", "gauge", {"state"}},
      {"queue_depth", "gauge", {}},
      {"queue_tokens", "gauge", {}},
      {"request_duration_seconds", "histogram", {"api"}},
      {"time_to_first_token_seconds", "histogram", version},
      {"inter_token_latency_seconds", "histogram", version},
      {"queue_time_seconds", "histogram", version},
      {"image_decode_seconds", "histogram", version},
      {"image_encode_seconds", "histogram", version},
      {"prefill_seconds", "histogram", version},
      {"decode_seconds", "histogram", version},
      {"step_duration_seconds", "histogram", version},
      {"batch_size", "histogram", version},
      {"prompt_tokens_total", "counter", version},
      {"generated_tokens_total", "counter", version},
      {"image_tokens_total", "counter", version},
      {"request_prompt_tokens", "histogram", version},
      {"request_generated_tokens", "histogram", version},
      {"answers_total", "counter", {"model", "version", "finish_reason"}},
      {"kv_cache_usage_ratio", "gauge", version},
      {"prefix_cache_queries_total", "counter", version},
      {"prefix_cache_hits_total", "counter", version},
      {"image_cache_queries_total", "counter", version},
      {"image_cache_hits_total", "counter", version},
      {"nonfinite_logits_total", "counter", version},
      {"moe_expert_tokens_total", "counter", expert},
      {"moe_expert_gate_mass_total", "counter", expert},
      {"moe_overflow_tokens_total", "counter", {"model", "version", "layer", "expert", "modality", "scope"}},
      {"moe_capacity_tokens_total", "counter", layer},
      {"moe_layer_seconds", "histogram", {"model", "version", "layer", "stage"}},
      {"moe_router_entropy_nats", "gauge", layer},
      {"moe_load_imbalance_ratio", "gauge", layer},
      {"moe_dead_experts", "gauge", layer},
      {"moe_routing_drift_js", "gauge", layer},
      {"model_info", "gauge", {"model", "version", "step", "digest"}},
      {"model_reloads_total", "counter", {"result", "reason"}},
      {"model_reload_seconds", "histogram", {"stage"}},
      {"model_versions_live", "gauge", {}},
      {"model_checkpoint_age_seconds", "gauge", {}},
      {"engine_last_step_age_seconds", "gauge", version},
      {"build_info", "gauge", {"version"}},
  };
  return families;
}

const Names kWindowed = {"moe_router_entropy_nats", "moe_load_imbalance_ratio", "moe_dead_experts",
                         "moe_routing_drift_js"};

class MetricsContractTest : public ::testing::Test {
 protected:
  MetricsContractTest() {
    ModelInfo info;
    info.digest = "abc";
    info.num_layers = 2;
    info.num_experts = 3;
    version_ = metrics_.add_version(7, info);
    first_ = test::parse_scrape(metrics_.text({.versions = {{.version = 7, .digest = "abc", .step = 5}}}, 0));
  }
  const test::ScrapedFamily& family(const std::string& name) { return first_["sparsefusion_" + name]; }

  Metrics metrics_{{.program_version = "1.2.3"}};
  std::shared_ptr<VersionMetrics> version_;
  std::map<std::string, test::ScrapedFamily> first_;
};

TEST_F(MetricsContractTest, EveryFamilyHasItsTypeHelpAndLabelsInTheFirstScrape) {
  for (const Contract& expected : contract()) {
    const test::ScrapedFamily& found = family(expected.name);
    EXPECT_EQ(found.type, expected.type) << expected.name;
    EXPECT_GT(found.help.size(), 5u) << expected.name;
    if (kWindowed.contains(expected.name)) {
      EXPECT_TRUE(found.series.empty()) << expected.name << " before anything was routed";
    } else {
      EXPECT_FALSE(found.series.empty()) << expected.name;
      EXPECT_EQ(found.labels, expected.labels) << expected.name;
    }
  }
  for (const char* name : {"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"}) {
    EXPECT_EQ(first_[name].type, "gauge") << name;
    EXPECT_EQ(first_[name].series.size(), 1u) << name;
  }
}

TEST_F(MetricsContractTest, EveryOtherNameHasThePrefix) {
  for (const auto& [name, found] : first_) {
    EXPECT_TRUE(name.starts_with("sparsefusion_") || name.starts_with("process_")) << name;
  }
}

TEST_F(MetricsContractTest, KnownLabelValuesAreThereFromTheFirstScrape) {
  EXPECT_THAT(family("requests_total").values.at("api"),
              IsSupersetOf({"rest", "openai", "kserve_rest", "grpc", "kserve_grpc", "admin", "other"}));
  EXPECT_THAT(family("requests_total").values.at("code"), IsSupersetOf({"200",
                                                                        "400",
                                                                        "401",
                                                                        "403",
                                                                        "404",
                                                                        "413",
                                                                        "415",
                                                                        "429",
                                                                        "499",
                                                                        "500",
                                                                        "503",
                                                                        "504",
                                                                        "OK",
                                                                        "CANCELLED",
                                                                        "INVALID_ARGUMENT",
                                                                        "DEADLINE_EXCEEDED",
                                                                        "NOT_FOUND",
                                                                        "PERMISSION_DENIED",
                                                                        "RESOURCE_EXHAUSTED",
                                                                        "INTERNAL",
                                                                        "UNAVAILABLE",
                                                                        "UNAUTHENTICATED"}));
  EXPECT_THAT(family("requests_rejected_total").values.at("reason"),
              IsSupersetOf({"queue_full", "draining", "too_large", "unsupported_type", "invalid_argument", "not_found",
                            "deadline", "rate_limit", "unauthenticated", "permission_denied", "internal"}));
  EXPECT_EQ(family("requests_cancelled_total").values.at("phase"), (Names{"prepare", "queued", "prefill", "decode"}));
  EXPECT_EQ(family("requests_inflight").values.at("state"), (Names{"preparing", "waiting", "running"}));
  EXPECT_EQ(family("model_reloads_total").values.at("result"), (Names{"success", "failure", "refused"}));
  EXPECT_THAT(family("model_reloads_total").values.at("reason"),
              IsSupersetOf({"none", "verify", "load", "out_of_memory", "warmup", "canary", "score"}));
  EXPECT_EQ(family("model_reload_seconds").values.at("stage"),
            (Names{"verify", "load", "warmup", "canary", "publish"}));
  for (const char* name : {"moe_expert_tokens_total", "moe_expert_gate_mass_total", "moe_overflow_tokens_total"}) {
    EXPECT_EQ(family(name).values.at("layer"), (Names{"0", "1"})) << name;
    EXPECT_EQ(family(name).values.at("expert"), (Names{"0", "1", "2"})) << name;
    EXPECT_EQ(family(name).values.at("modality"), (Names{"image", "text"})) << name;
  }
  EXPECT_EQ(family("moe_overflow_tokens_total").values.at("scope"), (Names{"step", "request"}));
  EXPECT_EQ(family("moe_overflow_tokens_total").series.size(), 2u * 3 * 2 * 2);
  EXPECT_EQ(family("moe_layer_seconds").values.at("stage"), (Names{"route", "experts", "combine"}));
}

TEST_F(MetricsContractTest, BeforeAnyVersionIsLoadedEveryFamilyIsNamed) {
  Metrics empty({});
  const std::string text = empty.text({}, 0);
  for (const Contract& expected : contract()) {
    EXPECT_NE(text.find(concat("# TYPE sparsefusion_", expected.name, " ", expected.type, "\n")), std::string::npos)
        << expected.name;
  }
}

}  // namespace
}  // namespace sf::server
