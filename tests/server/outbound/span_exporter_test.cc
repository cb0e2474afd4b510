#include "server/outbound/span_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "server/wire/request_id.h"
#include "tests/server/outbound/fake_collector.h"

namespace sf::server {
namespace {

constexpr const char* kTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class SpanExporterTest : public ::testing::Test {
 protected:
  SpanExporterTest() {
    summary_.usage = {.image_tokens = 36, .prompt_tokens = 50, .completion_tokens = 2, .cached_tokens = 7};
    summary_.timings = {.queue_ms = 1, .image_ms = 2, .prefill_ms = 4, .decode_ms = 8, .total_ms = 15};
  }
  static SpanExporterOptions options_for(const std::string& url) {
    SpanExporterOptions options;
    options.endpoint = url;
    options.source = {.name = "sparsefusion-server", .version = "1.2.3", .instance = "i-1", .model = "demo"};
    options.interval_ms = 1;
    return options;
  }
  std::unique_ptr<SpanExporter> make(SpanExporterOptions options) {
    return std::make_unique<SpanExporter>(std::move(options), [this](const char* result, size_t spans) {
      (std::string(result) == "exported" ? exported_ : dropped_) += spans;
    });
  }
  RequestRecord record(const std::string& traceparent = kTraceparent) const {
    RequestRecord record;
    record.request_id = "id-1";
    record.api = "rest";
    record.code = "200";
    record.model_version = 7;
    record.summary = &summary_;
    record.duration_s = 0.020;
    record.ended_unix_s = 1700000000.5;
    record.trace = continue_trace(traceparent);
    record.origin = {
        .method = "POST", .route = "/v1/answer", .path = "", .client_address = "192.0.2.7", .key_name = "alice"};
    return record;
  }

  Summary summary_;
  std::atomic<size_t> exported_{0}, dropped_{0};
};

int64_t nanos(const json& span, const char* field) { return std::stoll(span.at(field).get<std::string>()); }

TEST_F(SpanExporterTest, SendsARequestAsFiveSpans) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(record());
  exporter->stop();
  EXPECT_EQ(exported_, 5u);
  EXPECT_EQ(collector.content_type(), "application/json");
  EXPECT_EQ(attribute_of(collector.resource(), "service.name"), json({{"stringValue", "sparsefusion-server"}}));
  EXPECT_EQ(attribute_of(collector.resource(), "service.version"), json({{"stringValue", "1.2.3"}}));
  EXPECT_EQ(attribute_of(collector.resource(), "service.instance.id"), json({{"stringValue", "i-1"}}));
  const std::vector<json> spans = collector.spans();
  ASSERT_EQ(spans.size(), 5u);
  const json& request = spans[0];
  EXPECT_EQ(request["traceId"], "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(request["parentSpanId"], "b7ad6b7169203331");
  EXPECT_EQ(request["spanId"].get<std::string>().size(), 16u);
  EXPECT_EQ(request["name"], "POST /v1/answer");
  EXPECT_EQ(request["kind"], 2);
  EXPECT_EQ(request["status"]["code"], 0) << "what went well is left unset";
  EXPECT_EQ(nanos(request, "endTimeUnixNano"), 1700000000500000000);
  EXPECT_EQ(nanos(request, "endTimeUnixNano") - nanos(request, "startTimeUnixNano"), 20'000'000);
  EXPECT_EQ(attribute_of(request, "sparsefusion.api"), json({{"stringValue", "rest"}}));
  EXPECT_EQ(attribute_of(request, "sparsefusion.model_version"), json({{"intValue", "7"}}));
  EXPECT_EQ(attribute_of(request, "sparsefusion.tokens.completion"), json({{"intValue", "2"}}));
}

TEST_F(SpanExporterTest, PhasesFollowEachOtherWithinTheRequest) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(record());
  exporter->stop();
  const std::vector<json> spans = collector.spans();
  ASSERT_EQ(spans.size(), 5u);
  const std::pair<const char*, int64_t> expected[] = {
      {"decode", 8'000'000}, {"prefill", 4'000'000}, {"queue", 1'000'000}, {"image", 2'000'000}};
  int64_t end = nanos(spans[0], "endTimeUnixNano");
  for (size_t i = 0; i < 4; ++i) {
    const json& span = spans[i + 1];
    EXPECT_EQ(span["name"], expected[i].first);
    EXPECT_EQ(span["kind"], 1);
    EXPECT_EQ(span["traceId"], spans[0]["traceId"]);
    EXPECT_EQ(span["parentSpanId"], spans[0]["spanId"]);
    EXPECT_EQ(nanos(span, "endTimeUnixNano"), end);
    EXPECT_EQ(end - nanos(span, "startTimeUnixNano"), expected[i].second);
    end = nanos(span, "startTimeUnixNano");
  }
  EXPECT_GE(end, nanos(spans[0], "startTimeUnixNano"));
}

TEST_F(SpanExporterTest, AFailureIsOneSpanWhoseStatusSaysWhoseFaultItWas) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  for (const char* code : {"400", "503", "INVALID_ARGUMENT", "INTERNAL"}) {
    RequestRecord failed = record();
    failed.summary = nullptr;
    failed.code = code;
    exporter->add(failed);
  }
  exporter->stop();
  const std::vector<json> spans = collector.spans();
  ASSERT_EQ(spans.size(), 4u);
  EXPECT_EQ(spans[0]["status"]["code"], 0);
  EXPECT_EQ(spans[1]["status"]["code"], 2);
  EXPECT_EQ(spans[2]["status"]["code"], 0);
  EXPECT_EQ(spans[3]["status"]["code"], 2);
  EXPECT_EQ(attribute_of(spans[0], "error.type"), nullptr);
  EXPECT_EQ(attribute_of(spans[1], "error.type"), json({{"stringValue", "503"}}));
  EXPECT_EQ(attribute_of(spans[3], "error.type"), json({{"stringValue", "INTERNAL"}}));
}

TEST_F(SpanExporterTest, ARequestHasTheConventionsAttributesOfHttpAndOfGenerativeAi) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(record());
  exporter->stop();
  const json request = collector.spans().at(0);
  const std::pair<const char*, const char*> texts[] = {
      {"http.request.method", "POST"},          {"http.route", "/v1/answer"},
      {"client.address", "192.0.2.7"},          {"gen_ai.operation.name", "generate_content"},
      {"gen_ai.provider.name", "sparsefusion"}, {"gen_ai.request.model", "demo"},
      {"gen_ai.response.model", "demo"},        {"gen_ai.response.id", "id-1"}};
  for (const auto& [name, value] : texts)
    EXPECT_EQ(attribute_of(request, name), json({{"stringValue", value}})) << name;
  EXPECT_EQ(attribute_of(request, "http.response.status_code"), json({{"intValue", "200"}}));
  EXPECT_EQ(attribute_of(request, "gen_ai.usage.input_tokens"), json({{"intValue", "50"}}));
  EXPECT_EQ(attribute_of(request, "gen_ai.usage.output_tokens"), json({{"intValue", "2"}}));
  EXPECT_EQ(attribute_of(request, "gen_ai.response.finish_reasons")["arrayValue"]["values"][0]["stringValue"], "stop");
  EXPECT_EQ(request.dump().find("alice"), std::string::npos) << "the name of a key is the log's alone";
}

TEST_F(SpanExporterTest, AGrpcCallHasTheAttributesOfRpc) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  RequestRecord call = record();
  call.api = "grpc";
  call.code = "NOT_FOUND";
  call.summary = nullptr;
  call.model_version = 0;
  call.origin.route = "/sparsefusion.v1.VisualQuestionAnswering/Answer";
  exporter->add(call);
  exporter->stop();
  const json span = collector.spans().at(0);
  EXPECT_EQ(span["name"], "sparsefusion.v1.VisualQuestionAnswering/Answer");
  EXPECT_EQ(attribute_of(span, "rpc.system"), json({{"stringValue", "grpc"}}));
  EXPECT_EQ(attribute_of(span, "rpc.service"), json({{"stringValue", "sparsefusion.v1.VisualQuestionAnswering"}}));
  EXPECT_EQ(attribute_of(span, "rpc.method"), json({{"stringValue", "Answer"}}));
  EXPECT_EQ(attribute_of(span, "rpc.grpc.status_code"), json({{"intValue", "5"}}));
  EXPECT_EQ(attribute_of(span, "http.route"), nullptr);
  EXPECT_EQ(attribute_of(span, "gen_ai.operation.name"), nullptr) << "no model saw it";
}

TEST_F(SpanExporterTest, ARequestWithoutARouteIsNamedByItsMethodAlone) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  RequestRecord lost = record();
  lost.summary = nullptr;
  lost.code = "404";
  lost.origin.route = "";
  lost.origin.path = "/v1/nothing";
  exporter->add(lost);
  exporter->stop();
  EXPECT_EQ(collector.spans().at(0)["name"], "POST") << "names are few: a path is the client's";
  EXPECT_EQ(attribute_of(collector.spans().at(0), "url.path"), json({{"stringValue", "/v1/nothing"}}));
}

// A collector that does not know "100 Continue" would cost a second, and a stop has no more.
TEST_F(SpanExporterTest, ALargeBatchIsSentWithoutAskingFirst) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  for (int i = 0; i < 100; ++i) exporter->add(record());
  exporter->stop();
  EXPECT_GT(collector.last_body().dump().size(), 10'000u);
  EXPECT_EQ(collector.expect(), "");
}

TEST_F(SpanExporterTest, TheCallersSampledFlagDecides) {
  FakeCollector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(record("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  exporter->add(record("nonsense"));
  exporter->stop();
  EXPECT_TRUE(collector.spans().empty());
  EXPECT_EQ(exported_ + dropped_, 0u);
}

TEST_F(SpanExporterTest, TheRatioDecidesWhereTheTraceBeginsHere) {
  FakeCollector collector;
  SpanExporterOptions options = options_for(collector.url());
  for (const double ratio : {0.0, 1.0}) {
    options.sample_ratio = ratio;
    auto exporter = make(options);
    for (int i = 0; i < 100; ++i) {
      const TraceContext trace = exporter->begin();
      EXPECT_TRUE(trace.is_set());
      EXPECT_TRUE(trace.parent_id.empty());
      EXPECT_EQ(trace.sampled, ratio == 1);
    }
  }
}

TEST_F(SpanExporterTest, ACollectorThatRefusesOrIsDownCostsSpansOnly) {
  FakeCollector collector;
  collector.answer_with(500);
  auto exporter = make(options_for(collector.url()));
  exporter->add(record());
  exporter->stop();
  EXPECT_EQ(dropped_, 5u);

  httplib::Server closed;
  const int port = closed.bind_to_any_port("127.0.0.1");
  closed.stop();
  auto to_nobody = make(options_for("http://127.0.0.1:" + std::to_string(port)));
  to_nobody->add(record());
  to_nobody->stop();
  EXPECT_EQ(dropped_, 10u);
  EXPECT_EQ(exported_, 0u);
}

TEST_F(SpanExporterTest, ACollectorThatHangsFillsTheQueueAndHoldsNobodyUp) {
  FakeCollector collector;
  collector.hang();
  SpanExporterOptions options = options_for(collector.url());
  options.max_batch = 1;
  options.max_queue = 3;
  options.timeout_ms = 60'000;
  options.flush_timeout_ms = 1;
  auto exporter = make(options);
  exporter->add(record());
  collector.wait_for_posts(1);
  for (int i = 0; i < 10; ++i) exporter->add(record());
  EXPECT_EQ(dropped_, 7u * 5) << "three wait, one is on its way";
  exporter->stop();  // cuts the one that hangs
  EXPECT_EQ(dropped_, 11u * 5);
  EXPECT_EQ(exported_, 0u);
  exporter->add(record());
  EXPECT_EQ(dropped_, 12u * 5) << "after the stop";
}

TEST(CollectorUrlTest, MetricsGoBesideTheTracesUnlessSaidOtherwise) {
  EXPECT_EQ(metrics_endpoint("http://c:4318", ""), "http://c:4318/v1/metrics");
  EXPECT_EQ(metrics_endpoint("https://c/otlp/v1/traces", ""), "https://c/otlp/v1/metrics");
  EXPECT_EQ(metrics_endpoint("http://c/api/traces", ""), "") << "nothing is known of such a collector";
  EXPECT_EQ(metrics_endpoint("http://c/api/traces", "http://m"), "http://m/v1/metrics");
  EXPECT_EQ(metrics_endpoint("", "http://m/push"), "http://m/push");
  EXPECT_EQ(metrics_endpoint("http://c", "none"), "");
  EXPECT_EQ(metrics_endpoint("", ""), "");
  EXPECT_THROW(metrics_endpoint("http://c", "m:4318"), Error);
}

TEST(CollectorUrlTest, TakesWhatOpenTelemetryCallsAnEndpoint) {
  EXPECT_EQ(parse_collector_url("http://collector:4318").path, "/v1/traces");
  EXPECT_EQ(parse_collector_url("http://collector:4318/").path, "/v1/traces");
  EXPECT_EQ(parse_collector_url("https://host/otlp/v1/traces").path, "/otlp/v1/traces");
  EXPECT_EQ(parse_collector_url("https://host/otlp/v1/traces").origin, "https://host");
  for (const char* url : {"", "collector:4318", "ftp://x", "http://", "http:///v1/traces", "http://:4318", "http://a b",
                          "http://user@host", "http://host/?x=1"}) {
    EXPECT_THROW(parse_collector_url(url), Error) << url;
  }
}

}  // namespace
}  // namespace sf::server
