// Request bodies with Content-Encoding: what they inflate to is what counts.
#include "tests/server/http/http_fixture.h"
#include "tests/support/compress.h"

namespace sf::server {
namespace {

using test::compress, test::kBare, test::kGzip, test::kZlib;

class CompressedBodyTest : public HttpFixture {
 protected:
  static constexpr size_t kMaxBody = 1 << 20;
  void SetUp() override {
    HttpOptions options;
    options.limits.max_body_bytes = kMaxBody;
    start(options);
  }
  httplib::Result post(const std::string& body, const std::string& coding, const std::string& path = "/v1/answer") {
    return client->Post(path, {{"Content-Encoding", coding}}, body, "application/json");
  }
  // JSON of exactly so many bytes.
  static std::string question_of(size_t size) {
    nlohmann::json body = question();
    body["user"] = "";
    body["user"] = std::string(size - body.dump().size(), ' ');
    return body.dump();
  }
};

TEST_F(CompressedBodyTest, GzipAndDeflateAreInflatedOnEveryRoute) {
  const std::string text = question().dump();
  for (const auto& [coding, window] : {std::pair("gzip", kGzip), std::pair("X-Gzip", kGzip),
                                       std::pair("deflate", kZlib), std::pair("Deflate", kBare)}) {
    const httplib::Result result = post(compress(text, window), coding);
    ASSERT_TRUE(result) << coding;
    EXPECT_EQ(result->status, 200) << coding << result->body;
  }
  EXPECT_EQ(post(text, "identity")->status, 200);
  const std::string generate = R"({"IMAGE":"cGljdHVyZQ==","QUESTION":"what?"})";
  EXPECT_EQ(post(compress(generate, kGzip), "gzip", "/v2/models/sparsefusion/generate")->status, 200);
}

TEST_F(CompressedBodyTest, TheLimitIsOfWhatComesOut) {
  const auto status = [&](size_t size) { return post(compress(question_of(size), kGzip), "gzip")->status; };
  EXPECT_NE(status(kMaxBody), 413);
  EXPECT_EQ(status(kMaxBody + 1), 413);
  EXPECT_EQ(status(50 * kMaxBody), 413);
}

TEST_F(CompressedBodyTest, BytesThatAreNoneAreRefusedByName) {
  const std::string whole = compress(question().dump(), kGzip);
  for (const std::string& bytes :
       {whole.substr(0, whole.size() - 1), whole.substr(0, 5), whole + "x", std::string("{}"), std::string()}) {
    const httplib::Result result = post(bytes, "gzip");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 400) << result->body;
    if (!bytes.empty()) {
      EXPECT_EQ(nlohmann::json::parse(result->body)["error"]["param"], "Content-Encoding");
    }
  }
}

TEST_F(CompressedBodyTest, OtherCodingsAre415) {
  for (const char* coding : {"br", "zstd", "compress", "gzip, gzip", "utf-8"}) {
    const httplib::Result result = post("x", coding);
    ASSERT_TRUE(result) << coding;
    EXPECT_EQ(result->status, 415) << coding;
    EXPECT_EQ(nlohmann::json::parse(result->body)["error"]["param"], "Content-Encoding");
  }
}

}  // namespace
}  // namespace sf::server
