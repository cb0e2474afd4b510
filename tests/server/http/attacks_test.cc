// The attacks that took an older cpp-httplib to 687 MB, against our server: each must be refused or cut with memory
// bounded, and the next request must be answered.
#include <zlib.h>

#include <cstdint>
#include <fstream>

#include "tests/server/http/http_fixture.h"
#include "tests/support/sanitizers.h"

namespace sf::server {
namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kAttackBytes = 150 * kMiB;
// Growth of the process, which holds client and server: far below any of the attacks.
// Under a sanitizer its own memory hides ours.
constexpr size_t kMaxGrowth = kHasAddressSanitizer || kHasThreadSanitizer ? SIZE_MAX / 2 : 40 * kMiB;

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * 4096;
}

class AttacksTest : public HttpFixture {
 protected:
  void SetUp() override {
    HttpOptions options;
    options.limits.max_body_bytes = kMiB;
    start(options);
    ASSERT_EQ(post_json(question())->status, 200);  // warm
    before_ = resident_bytes();
  }
  // Sends `block` until `total` bytes went out or the peer takes no more.
  static void flood(RawConnection& connection, const std::string& block, size_t total) {
    for (size_t sent = 0; sent < total && connection.send(block); sent += block.size()) {
    }
  }
  void expect_bounded_and_alive() {
    EXPECT_LT(resident_bytes(), before_ + kMaxGrowth);
    const httplib::Result next = post_json(question());
    ASSERT_TRUE(next);
    EXPECT_EQ(next->status, 200);
  }
  static std::string head(const std::string& headers) {
    return "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + "\r\n";
  }

 private:
  size_t before_ = 0;
};

TEST_F(AttacksTest, ChunkedBodyWithoutEnd) {
  RawConnection connection(port());
  connection.send(head("Transfer-Encoding: chunked\r\n"));
  flood(connection, "10000\r\n" + std::string(0x10000, 'a') + "\r\n", kAttackBytes);
  const std::string answer = connection.read_all();
  EXPECT_TRUE(answer.empty() || answer.find(" 413 ") != std::string::npos) << answer.substr(0, 100);
  EXPECT_EQ(service.wait_for_rejected(1).at(0).reason, "too_large");
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, BodyWithoutContentLength) {
  RawConnection connection(port());
  connection.send(head(""));
  flood(connection, std::string(kMiB, 'a'), kAttackBytes);
  const std::string answer = connection.read_all();
  EXPECT_TRUE(answer.empty() || answer.find(" 400 ") != std::string::npos) << answer.substr(0, 100);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, BodyLargerThanItMayBe) {
  // A little over: read to its end so that the client sees its 413.
  const httplib::Result little = client->Post("/v1/answer", std::string(2 * kMiB, 'a'), "application/json");
  ASSERT_TRUE(little);
  EXPECT_EQ(little->status, 413);
  EXPECT_EQ(nlohmann::json::parse(little->body)["error"]["code"], "too_large");
  // Far over: refused by its Content-Length alone.
  RawConnection connection(port());
  connection.send(head("Content-Length: 100000000000\r\n"));
  EXPECT_NE(connection.read_all().find(" 413 "), std::string::npos);
  const httplib::UploadFormDataItems form = {{"image", std::string(2 * kMiB, 'a'), "a.png", "image/png"}};
  EXPECT_EQ(client->Post("/v1/answer", form)->status, 413);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, GzipBomb) {
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string zeros(kMiB, '\0'), bomb(2 * kMiB, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(bomb.data());
  stream.avail_out = static_cast<uInt>(bomb.size());
  for (size_t i = 0; i < kAttackBytes / kMiB; ++i) {
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = static_cast<uInt>(zeros.size());
    ASSERT_EQ(deflate(&stream, i + 1 == kAttackBytes / kMiB ? Z_FINISH : Z_NO_FLUSH),
              i + 1 == kAttackBytes / kMiB ? Z_STREAM_END : Z_OK);
  }
  bomb.resize(stream.total_out);
  deflateEnd(&stream);
  const httplib::Result result = client->Post("/v1/answer", {{"Content-Encoding", "gzip"}}, bomb, "application/json");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 413);
  EXPECT_EQ(nlohmann::json::parse(result->body)["error"]["code"], "too_large");
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, ThreeHundredThousandHeaders) {
  RawConnection connection(port());
  connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
  for (int i = 0; i < 300000 && connection.send("X-H" + std::to_string(i) + ": v\r\n"); ++i) {
  }
  connection.send("\r\n");
  const std::string answer = connection.read_all();
  EXPECT_TRUE(answer.empty() || answer.find(" 400 ") != std::string::npos) << answer.substr(0, 100);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, HeaderLineWithoutEnd) {
  RawConnection connection(port());
  connection.send("GET /healthz HTTP/1.1\r\nX-Long: ");
  flood(connection, std::string(kMiB, 'a'), kAttackBytes);
  const std::string answer = connection.read_all();
  EXPECT_TRUE(answer.empty() || answer.find(" 400 ") != std::string::npos) << answer.substr(0, 100);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, RequestLineWithoutEnd) {
  RawConnection connection(port());
  connection.send("GET /");
  flood(connection, std::string(kMiB, 'a'), kAttackBytes);
  const std::string answer = connection.read_all();
  EXPECT_EQ(answer.find(" 200 "), std::string::npos);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, LineBreakInRequestId) {
  for (const char* id : {"a%0d%0aSet-Cookie: x=1", "a\tb", "<script>"}) {
    RawConnection connection(port());
    connection.send(std::string("GET /v1/answer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-Id: ") +
                    id + "\r\n\r\n");
    const std::string answer = connection.read_all();
    EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos);
    EXPECT_NE(answer.find("X-Request-Id: req-"), std::string::npos) << answer;
  }
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, AmbiguousFraming) {
  RawConnection connection(port());
  connection.send(head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") +
                  "0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
  const std::string answer = connection.read_all();
  EXPECT_NE(answer.find(" 400 "), std::string::npos);
  EXPECT_EQ(answer.find(" 200 "), std::string::npos);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, ManyParts) {
  httplib::UploadFormDataItems items;
  for (int i = 0; i < 1000; ++i) items.push_back({"name" + std::to_string(i), "v", "", ""});
  const httplib::Result result = client->Post("/v1/answer", items);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 400);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, DeepJson) {
  const std::string deep = "{\"a\":" + std::string(500000, '[');
  EXPECT_EQ(client->Post("/v1/answer", deep, "application/json")->status, 400);
  expect_bounded_and_alive();
}

TEST_F(AttacksTest, ErrorsQuoteLittle) {
  const std::string key(500000, 'k');
  const httplib::Result result =
      client->Post("/v1/answer", "{\"" + key + "\":1,\"" + key + "\":2}", "application/json");
  EXPECT_EQ(result->status, 400);
  EXPECT_LT(result->body.size(), 4096u);
}

TEST_F(AttacksTest, ClientThatLeavesInTheMiddleOfItsBody) {
  {
    RawConnection connection(port());
    connection.send(head("Content-Length: 1000\r\n") + "{\"image\":");
  }
  EXPECT_EQ(service.wait_for_rejected(1).size(), 1u);
  expect_bounded_and_alive();
}

}  // namespace
}  // namespace sf::server
