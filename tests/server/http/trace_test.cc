#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

constexpr const char* kTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class HttpTraceTest : public HttpFixture {
 protected:
  void SetUp() override { start(); }
  // The trace that a request with these headers is recorded under.
  TraceContext trace_of_answer(const httplib::Headers& headers) {
    const size_t before = service.finished().size();
    EXPECT_EQ(post_json(question(), headers)->status, 200);
    return service.wait_for_finished(before + 1).back().trace;
  }
};

TEST_F(HttpTraceTest, TheCallersTraceGoesOn) {
  const TraceContext trace = trace_of_answer({{"traceparent", kTraceparent}});
  EXPECT_EQ(trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(trace.parent_id, "b7ad6b7169203331");
  EXPECT_TRUE(trace.sampled);
}

TEST_F(HttpTraceTest, ATraceparentThatIsMalformedOrComesTwiceIsIgnored) {
  EXPECT_FALSE(trace_of_answer({}).is_set());
  EXPECT_FALSE(trace_of_answer({{"traceparent", "00-zz"}}).is_set());
  EXPECT_FALSE(trace_of_answer({{"traceparent", kTraceparent}, {"traceparent", kTraceparent}}).is_set());
}

TEST_F(HttpTraceTest, EveryApiAndEveryRefusalKnowsIt) {
  const httplib::Headers headers = {{"traceparent", kTraceparent}};
  const auto post = [&](const std::string& path, const nlohmann::json& body) {
    return client->Post(path, headers, body.dump(), "application/json")->status;
  };
  EXPECT_EQ(post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "what shape?"}}}}}), 200);
  EXPECT_EQ(post("/v2/models/sparsefusion/generate", {{"IMAGE", "SU1H"}, {"QUESTION", "what shape?"}}), 200);
  EXPECT_EQ(post("/v1/explain", question()), 200);
  EXPECT_EQ(post("/v1/answer", {{"stream", true}, {"image", "SU1H"}, {"question", "what shape?"}}), 200);
  for (const FakeRecord& record : service.wait_for_finished(4)) {
    EXPECT_EQ(record.trace.parent_id, "b7ad6b7169203331") << record.api;
  }
  EXPECT_EQ(post("/v1/answer", {{"image", 1}}), 400);
  EXPECT_EQ(client->Get("/nowhere", headers)->status, 404);
  for (const FakeRecord& record : service.wait_for_rejected(2)) {
    EXPECT_EQ(record.trace.parent_id, "b7ad6b7169203331") << record.code;
  }
}

}  // namespace
}  // namespace sf::server
