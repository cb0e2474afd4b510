#include "server/outbound/span_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "server/guard/request_id.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr const char* kTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// An OTLP/HTTP collector that keeps what it gets, or misbehaves as it is told.
class Collector {
 public:
  Collector() {
    server_.Post("/v1/traces", [this](const httplib::Request& request, httplib::Response& response) {
      MutexLock lock(mutex_);
      ++posts_;
      changed_.notify_all();
      while (hang_) changed_.wait(mutex_);
      if (status_ == 200) bodies_.push_back(request.body);
      content_type_ = request.get_header_value("Content-Type");
      response.status = status_;
      response.set_content("{}", "application/json");
      changed_.notify_all();
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~Collector() {
    release();
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void answer_with(int status) {
    MutexLock lock(mutex_);
    status_ = status;
  }
  void hang() {
    MutexLock lock(mutex_);
    hang_ = true;
  }
  void release() {
    MutexLock lock(mutex_);
    hang_ = false;
    changed_.notify_all();
  }
  void wait_for_posts(int count) {
    MutexLock lock(mutex_);
    while (posts_ < count) changed_.wait(mutex_);
  }
  std::vector<json> spans() {
    MutexLock lock(mutex_);
    std::vector<json> all;
    for (const std::string& body : bodies_) {
      const json request = json::parse(body);
      for (const json& span : request["resourceSpans"][0]["scopeSpans"][0]["spans"]) all.push_back(span);
    }
    return all;
  }
  json resource() {
    MutexLock lock(mutex_);
    return json::parse(bodies_.at(0))["resourceSpans"][0]["resource"];
  }
  std::string content_type() {
    MutexLock lock(mutex_);
    return content_type_;
  }

 private:
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  Mutex mutex_;
  CondVar changed_;
  int posts_ SF_GUARDED_BY(mutex_) = 0;
  int status_ SF_GUARDED_BY(mutex_) = 200;
  bool hang_ SF_GUARDED_BY(mutex_) = false;
  std::vector<std::string> bodies_ SF_GUARDED_BY(mutex_);
  std::string content_type_ SF_GUARDED_BY(mutex_);
};

class SpanExporterTest : public ::testing::Test {
 protected:
  SpanExporterTest() {
    summary_.usage = {.image_tokens = 36, .prompt_tokens = 50, .completion_tokens = 2, .cached_tokens = 7};
    summary_.timings = {.queue_ms = 1, .image_ms = 2, .prefill_ms = 4, .decode_ms = 8, .total_ms = 15};
  }
  static SpanExporterOptions options_for(const std::string& url) {
    SpanExporterOptions options;
    options.endpoint = url;
    options.source = {"sparsefusion-server", "1.2.3"};
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
    return record;
  }

  Summary summary_;
  std::atomic<size_t> exported_{0}, dropped_{0};
};

int64_t nanos(const json& span, const char* field) { return std::stoll(span.at(field).get<std::string>()); }

json attribute_of(const json& holder, const std::string& key) {
  for (const json& attribute : holder.at("attributes")) {
    if (attribute.at("key") == key) return attribute.at("value");
  }
  return nullptr;
}

TEST_F(SpanExporterTest, SendsARequestAsFiveSpans) {
  Collector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(record());
  exporter->stop();
  EXPECT_EQ(exported_, 5u);
  EXPECT_EQ(collector.content_type(), "application/json");
  EXPECT_EQ(attribute_of(collector.resource(), "service.name"), json({{"stringValue", "sparsefusion-server"}}));
  EXPECT_EQ(attribute_of(collector.resource(), "service.version"), json({{"stringValue", "1.2.3"}}));
  const std::vector<json> spans = collector.spans();
  ASSERT_EQ(spans.size(), 5u);
  const json& request = spans[0];
  EXPECT_EQ(request["traceId"], "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(request["parentSpanId"], "b7ad6b7169203331");
  EXPECT_EQ(request["spanId"].get<std::string>().size(), 16u);
  EXPECT_EQ(request["name"], "request");
  EXPECT_EQ(request["kind"], 2);
  EXPECT_FALSE(request.contains("status"));
  EXPECT_EQ(nanos(request, "endTimeUnixNano"), 1700000000500000000);
  EXPECT_EQ(nanos(request, "endTimeUnixNano") - nanos(request, "startTimeUnixNano"), 20'000'000);
  EXPECT_EQ(attribute_of(request, "sparsefusion.api"), json({{"stringValue", "rest"}}));
  EXPECT_EQ(attribute_of(request, "sparsefusion.model_version"), json({{"intValue", "7"}}));
  EXPECT_EQ(attribute_of(request, "sparsefusion.tokens.completion"), json({{"intValue", "2"}}));
}

TEST_F(SpanExporterTest, PhasesFollowEachOtherWithinTheRequest) {
  Collector collector;
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
  Collector collector;
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
  EXPECT_FALSE(spans[0].contains("status"));
  EXPECT_EQ(spans[1]["status"]["code"], 2);
  EXPECT_FALSE(spans[2].contains("status"));
  EXPECT_EQ(spans[3]["status"]["code"], 2);
}

TEST_F(SpanExporterTest, TheCallersSampledFlagDecides) {
  Collector collector;
  auto exporter = make(options_for(collector.url()));
  exporter->add(record("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  exporter->add(record("nonsense"));
  exporter->stop();
  EXPECT_TRUE(collector.spans().empty());
  EXPECT_EQ(exported_ + dropped_, 0u);
}

TEST_F(SpanExporterTest, TheRatioDecidesWhereTheTraceBeginsHere) {
  Collector collector;
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
  Collector collector;
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
  Collector collector;
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
