// Request bodies with Content-Encoding: what they inflate to is what counts.
#include <zlib.h>

#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

constexpr int kGzip = 15 + 16, kZlib = 15, kBare = -15;

std::string compress(const std::string& text, int window) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

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
