#include "server/outbound/metric_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/server/outbound/fake_collector.h"

namespace sf::server {
namespace {

class MetricExporterTest : public ::testing::Test {
 protected:
  MetricExporterTest() {
    summary_.usage = {.image_tokens = 36, .prompt_tokens = 50, .completion_tokens = 5, .cached_tokens = 7};
    summary_.timings = {.queue_ms = 10, .image_ms = 20, .prefill_ms = 30, .decode_ms = 80, .total_ms = 140};
  }
  static MetricExporterOptions options_for(const std::string& url) {
    MetricExporterOptions options;
    options.endpoint = url;
    options.source = {.name = "sparsefusion-server", .version = "1.2.3", .instance = "i-1", .model = "demo"};
    return options;
  }
  std::unique_ptr<MetricExporter> make(MetricExporterOptions options) {
    return std::make_unique<MetricExporter>(
        std::move(options),
        [this](const char* result) { ++(std::string(result) == "exported" ? exported_ : dropped_); },
        [] { return 1700000000.5; });
  }
  RequestRecord answered(const std::string& route = "/v1/answer") const {
    RequestRecord record;
    record.api = "rest";
    record.code = "200";
    record.model_version = 7;
    record.summary = &summary_;
    record.duration_s = 0.15;
    record.origin.route = route;
    return record;
  }
  static RequestRecord failed(const std::string& code) {
    RequestRecord record;
    record.api = "rest";
    record.code = code;
    record.duration_s = 0.15;
    record.origin.route = "/v1/answer";
    return record;
  }

  Summary summary_;
  std::atomic<int> exported_{0}, dropped_{0};
};

// The data points of a metric in an export request; null if it is not there.
json points_of(const json& body, const std::string& name) {
  for (const json& metric : body.at("resourceMetrics").at(0).at("scopeMetrics").at(0).at("metrics")) {
    if (metric.at("name") == name) return metric.at("histogram").at("dataPoints");
  }
  return nullptr;
}

double sum_of(const json& body, const std::string& name) { return points_of(body, name).at(0).at("sum"); }

TEST_F(MetricExporterTest, AnAnswerIsThreeHistogramsWithTheConventionsNamesUnitsAndBounds) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(answered());
  exporter->stop();
  EXPECT_EQ(exported_, 1);
  EXPECT_THAT(collector.paths(), ::testing::ElementsAre("/v1/metrics"));
  EXPECT_EQ(collector.content_type(), "application/json");
  const json body = collector.last_body();
  const json resource = body["resourceMetrics"][0]["resource"];
  EXPECT_EQ(attribute_of(resource, "service.name"), json({{"stringValue", "sparsefusion-server"}}));
  EXPECT_EQ(attribute_of(resource, "service.instance.id"), json({{"stringValue", "i-1"}}));
  for (const json& metric : body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]) {
    EXPECT_EQ(metric["unit"], "s");
    EXPECT_EQ(metric["histogram"]["aggregationTemporality"], 2);
    const json& point = metric["histogram"]["dataPoints"][0];
    EXPECT_EQ(point["count"], "1");
    EXPECT_EQ(point["bucketCounts"].size(), point["explicitBounds"].size() + 1);
    EXPECT_EQ(point["startTimeUnixNano"], "1700000000500000000");
    EXPECT_EQ(attribute_of(point, "gen_ai.operation.name"), json({{"stringValue", "generate_content"}}));
    EXPECT_EQ(attribute_of(point, "gen_ai.provider.name"), json({{"stringValue", "sparsefusion"}}));
    EXPECT_EQ(attribute_of(point, "gen_ai.request.model"), json({{"stringValue", "demo"}}));
    EXPECT_EQ(attribute_of(point, "error.type"), nullptr);
  }
  EXPECT_DOUBLE_EQ(sum_of(body, "gen_ai.server.request.duration"), 0.15);
  EXPECT_DOUBLE_EQ(sum_of(body, "gen_ai.server.time_to_first_token"), 0.06);
  EXPECT_DOUBLE_EQ(sum_of(body, "gen_ai.server.time_per_output_token"), 0.02);
  EXPECT_EQ(points_of(body, "gen_ai.server.request.duration")[0]["explicitBounds"],
            json({0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}));
  EXPECT_EQ(points_of(body, "gen_ai.server.time_to_first_token")[0]["explicitBounds"],
            json({0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0}));
  EXPECT_EQ(points_of(body, "gen_ai.server.time_per_output_token")[0]["explicitBounds"],
            json({0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5}));
}

TEST_F(MetricExporterTest, AFailureHasADurationAndATypeAndNothingElse) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(failed("504"));
  exporter->stop();
  const json body = collector.last_body();
  EXPECT_EQ(attribute_of(points_of(body, "gen_ai.server.request.duration").at(0), "error.type"),
            json({{"stringValue", "504"}}));
  EXPECT_EQ(points_of(body, "gen_ai.server.time_to_first_token"), nullptr);
  EXPECT_EQ(points_of(body, "gen_ai.server.time_per_output_token"), nullptr);
}

TEST_F(MetricExporterTest, OneTokenHasNoTimePerOutputToken) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  summary_.usage.completion_tokens = 1;
  exporter->add(answered());
  exporter->stop();
  EXPECT_EQ(points_of(collector.last_body(), "gen_ai.server.time_per_output_token"), nullptr);
}

TEST_F(MetricExporterTest, OperationsAreCountedApart) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(answered("/v1/answer"));
  exporter->add(answered("/v1/chat/completions"));
  exporter->add(answered("/v1/chat/completions"));
  exporter->add(answered("/sparsefusion.v1.VisualQuestionAnswering/Answer"));
  exporter->stop();
  const json points = points_of(collector.last_body(), "gen_ai.server.request.duration");
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(attribute_of(points[0], "gen_ai.operation.name"), json({{"stringValue", "chat"}}));
  EXPECT_EQ(points[0]["count"], "2");
  EXPECT_EQ(points[1]["count"], "2");
}

TEST_F(MetricExporterTest, AdminCommandsAndRefusalsAreNoWorkOfAModel) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  RequestRecord record = answered("/v1/admin/pin");
  record.api = "admin";
  exporter->add(record);
  record = failed("400");
  record.reason = "invalid_argument";
  exporter->add(record);
  exporter->stop();
  EXPECT_EQ(collector.num_bodies(), 0u) << "nothing to say";
  EXPECT_EQ(exported_ + dropped_, 0);
}

TEST_F(MetricExporterTest, SumsGoOnFromPostToPost) {
  FakeCollector collector;
  MetricExporterOptions options = options_for(collector.url());
  options.interval_ms = 1;
  auto exporter = make(options);
  collector.answer_with(503);
  exporter->add(answered());
  collector.wait_for_posts(1);  // lost, and nothing with it
  exporter->add(answered());
  collector.answer_with(200);
  exporter->stop();
  EXPECT_EQ(points_of(collector.last_body(), "gen_ai.server.request.duration").at(0).at("count"), "2");
  EXPECT_GE(dropped_, 1);
}

TEST_F(MetricExporterTest, SeriesAreBounded) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  for (int i = 0; i < 10'000; ++i) exporter->add(failed(std::to_string(1000 + i)));
  exporter->stop();
  const json points = points_of(collector.last_body(), "gen_ai.server.request.duration");
  EXPECT_LE(points.size(), 129u);
  int64_t count = 0;
  for (const json& point : points) count += std::stoll(point.at("count").get<std::string>());
  EXPECT_EQ(count, 10'000);
}

TEST_F(MetricExporterTest, ACollectorThatHangsHoldsNeitherRequestsNorTheStopUp) {
  FakeCollector collector;
  collector.hang();
  MetricExporterOptions options = options_for(collector.url());
  options.interval_ms = 1;
  options.timeout_ms = 60'000;
  options.flush_timeout_ms = 1;
  auto exporter = make(options);
  exporter->add(answered());
  collector.wait_for_posts(1);
  for (int i = 0; i < 10'000; ++i) exporter->add(answered());
  exporter->stop();  // cuts the one that hangs
  EXPECT_EQ(exported_, 0);
  EXPECT_GE(dropped_, 1);
  exporter->add(answered());
}

TEST_F(MetricExporterTest, ACollectorThatIsDownCostsNothing) {
  httplib::Server closed;
  const int port = closed.bind_to_any_port("127.0.0.1");
  closed.stop();
  auto exporter = make(options_for("http://127.0.0.1:" + std::to_string(port)));
  exporter->add(answered());
  exporter->stop();
  EXPECT_EQ(dropped_, 1);
}

}  // namespace
}  // namespace sf::server
