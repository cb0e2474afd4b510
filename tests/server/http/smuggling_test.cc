// A request hidden behind one that is refused, in every way that a proxy may let through: it is never run, the client
// reads why, and the connection is closed. And what is no trick at all is answered as what it means.
#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"
#include "tests/support/http_responses.h"

namespace sf::server {
namespace {

using test::HttpResponses;
using test::parse_responses;

class SmugglingTest : public HttpFixture {
 protected:
  void SetUp() override {
    start({.read_timeout_s = 1, .head_timeout_s = 5});
    admin_ = std::make_unique<AdminServer>(AdminOptions{.port = 0}, service);
    admin_->start();
  }
  int admin_port() const { return admin_->port(); }

  // Head and hidden request in two writes, so that the second may come after the first was refused.
  static std::string say(int port, const std::string& head, const std::string& rest) {
    RawConnection connection(port);
    connection.send(head);
    connection.send(rest);
    return connection.read_all();
  }
  // One refusal and then the end, on both ports.
  void expect_refused(const std::string& head, const std::string& what) {
    for (const int where : {port(), admin_port()}) {
      const HttpResponses got = parse_responses(say(where, head, hidden_));
      EXPECT_EQ(got.trouble, "") << what;
      ASSERT_EQ(got.all.size(), 1u) << what;
      EXPECT_GE(got.all[0].status, 400) << what;
      EXPECT_LT(got.all[0].status, 500) << what;
      EXPECT_EQ(got.all[0].header("connection"), "close") << what;
      EXPECT_NE(got.all[0].header("x-request-id"), "") << what;
      EXPECT_EQ(got.all[0].body.find("\"live\""), std::string::npos) << what;
    }
  }
  std::string post(const std::string& headers) const {
    return "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + "\r\n";
  }

  const std::string hidden_ = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const std::string length_ = "Content-Length: " + std::to_string(hidden_.size()) + "\r\n";

 private:
  std::unique_ptr<AdminServer> admin_;
};

TEST_F(SmugglingTest, HeadersThatAnotherParserTakes) {
  for (const std::string& header :
       {std::string("X: a\0b\r\n", 8), std::string("X: a\x01\r\n"), std::string("X: a\r\n b\r\n"),
        std::string("X : a\r\n"), std::string(": a\r\n"), std::string("X: a\n"), std::string("X: a\rb\r\n"),
        std::string("X: ") + std::string(8200, 'a') + "\r\n", std::string("no colon\r\n")}) {
    expect_refused(post(header + length_), header.substr(0, 20));
  }
  std::string many;
  for (int i = 0; i < 120; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  expect_refused(post(many + length_), "120 headers");
}

TEST_F(SmugglingTest, LengthsThatAnotherParserReadsOtherwise) {
  for (const char* length :
       {"+36", "-1", "0x24", "36,36", "3 6", "1e2", "", "abc", "99999999999999999999", "036 6", "36;", "\"36\""}) {
    expect_refused(post("Content-Length: " + std::string(length) + "\r\n"), length);
  }
  expect_refused(post(length_ + "Content-Length: 3\r\n"), "two lengths");
  expect_refused(post(length_ + "Transfer-Encoding: chunked\r\n"), "both");
  expect_refused(post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), "both, one of nothing");
  for (const char* coding : {"gzip", "chunked, identity", "identity", "xchunked",
                             "chunked\r\nTransfer-Encoding: chunked", "\tchunked;x", "chunked chunked"}) {
    expect_refused(post("Transfer-Encoding: " + std::string(coding) + "\r\n"), coding);
  }
  expect_refused("POST /v1/answer HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "chunks of an old client");
}

TEST_F(SmugglingTest, RefusalsOfEveryKindClose) {
  const std::string rest = " HTTP/1.1\r\nHost: localhost\r\n" + length_;
  expect_refused("FOO /v1/answer" + rest + "\r\n", "an unknown method");
  expect_refused("PUT /v1/models" + rest + "\r\n", "a method that is not allowed");
  expect_refused("GET /nothing" + rest + "\r\n", "no such route");
  expect_refused("POST /nothing" + rest + "Expect: 100-continue\r\n\r\n", "no such route, expecting");
  expect_refused("GET /v1/models" + rest + "Range: zzz\r\n\r\n", "a broken range");
  expect_refused("POST /v1/answer HTTP/1.2\r\nHost: localhost\r\n" + length_ + "\r\n", "a version");
  expect_refused("POST /v1/answer HTTP/1.1\r\n" + length_ + "\r\n", "no Host");
  expect_refused("POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n" + length_ + "\r\n", "two Hosts");
  expect_refused("POST /v1/answer" + rest + "Content-Type: text/plain\r\n\r\n", "a media type");
  expect_refused("POST /" + std::string(9000, 'a') + rest + "\r\n", "a long target");
}

TEST_F(SmugglingTest, ABodyThatIsIgnoredIsNeverARequest) {
  for (const std::string& line : {std::string("GET /healthz"), std::string("OPTIONS /v1/answer")}) {
    const std::string text = say(port(), line + " HTTP/1.1\r\nHost: localhost\r\n" + length_ + "\r\n",
                                 hidden_ + "GET /readyz HTTP/1.0\r\n\r\n");
    const HttpResponses got = parse_responses(text);
    EXPECT_EQ(got.trouble, "") << line;
    ASSERT_EQ(got.all.size(), 2u) << text;
    EXPECT_EQ(got.all[1].body, "{\"ready\": true}") << line;
  }
}

TEST_F(SmugglingTest, ARefusalIsAnsweredInItsRoutesManner) {
  const HttpResponses v2 =
      parse_responses(say(port(), "GET /v2/x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\nX : y\r\n\r\n", ""));
  ASSERT_EQ(v2.all.size(), 1u);
  EXPECT_EQ(v2.all[0].header("x-request-id"), "mine");
  EXPECT_TRUE(nlohmann::json::parse(v2.all[0].body)["error"].is_string());
  const HttpResponses v1 = parse_responses(say(port(), post("Content-Length: x\r\n"), ""));
  ASSERT_EQ(v1.all.size(), 1u);
  EXPECT_EQ(nlohmann::json::parse(v1.all[0].body)["error"]["param"], "Content-Length");
  EXPECT_EQ(service.wait_for_rejected(2).size(), 2u);
}

TEST_F(SmugglingTest, ALargeUploadThatIsRefusedReadsWhy) {
  RawConnection connection(port());
  connection.send("POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n");
  const std::string block(1 << 20, 'a');
  for (int i = 0; i < 28; ++i) EXPECT_TRUE(connection.send(block)) << i;
  const HttpResponses got = parse_responses(connection.read_all());
  ASSERT_EQ(got.all.size(), 1u);
  EXPECT_EQ(got.all[0].status, 404);
}

TEST_F(SmugglingTest, SlashesAndAbsoluteTargetsMeanTheRoute) {
  const std::string body = question().dump();
  const std::string rest =
      " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  for (const char* target : {"/v1/answer/", "//v1//answer", "/v1/answer//", "http://localhost/v1/answer",
                             "HTTP://localhost:8000//v1/answer/", "https://127.0.0.1/v1/answer?x=1"}) {
    const HttpResponses got = parse_responses(say(port(), std::string("POST ") + target + rest, ""));
    ASSERT_EQ(got.all.size(), 1u) << target;
    EXPECT_EQ(got.all[0].status, 200) << target << got.all[0].body;
  }
  for (const char* target :
       {"/v1/models/", "//v1/models", "http://localhost/v1/models", "/healthz/", "/", "//", "http://localhost"}) {
    const std::string text = std::string("GET ") + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    EXPECT_TRUE(say(port(), text, "").starts_with("HTTP/1.1 200 ")) << target;
  }
}

// The authority of the target counts, whatever Host says: the management port looks at nothing else.
TEST_F(SmugglingTest, AnAbsoluteTargetDoesNotGoAroundTheHostCheck) {
  const auto status = [&](const std::string& target, const std::string& host) {
    const std::string text = "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
    const HttpResponses got = parse_responses(say(admin_port(), text, ""));
    return got.all.empty() ? 0 : got.all[0].status;
  };
  EXPECT_EQ(status("/v1/versions", "localhost"), 200);
  EXPECT_EQ(status("http://localhost/v1/versions", "evil.example"), 200);
  EXPECT_EQ(status("http://evil.example/v1/versions", "localhost"), 403);
}

TEST_F(SmugglingTest, OldClientsGetNoChunksAndAreClosed) {
  nlohmann::json streamed = question();
  streamed["stream"] = true;
  const std::string text = streamed.dump();
  for (const char* connection : {"", "Connection: keep-alive\r\n"}) {
    const std::string head = std::string("POST /v1/answer HTTP/1.0\r\nContent-Type: application/json\r\n") +
                             connection + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
    const HttpResponses got = parse_responses(say(port(), head, hidden_));
    ASSERT_EQ(got.all.size(), 1u);
    EXPECT_EQ(got.all[0].header("transfer-encoding"), "");
    EXPECT_EQ(got.all[0].header("connection"), "close");
    EXPECT_TRUE(got.all[0].body.ends_with("data: [DONE]\n\n")) << got.all[0].body;
  }
  const HttpResponses kept = parse_responses(
      say(port(), "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /readyz HTTP/1.0\r\n\r\n"));
  ASSERT_EQ(kept.all.size(), 2u);
  EXPECT_EQ(kept.all[0].header("connection"), "keep-alive");
}

TEST_F(SmugglingTest, TwoHundredPipelinedRequests) {
  std::string requests;
  for (int i = 0; i < 199; ++i) requests += hidden_;
  requests += "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const HttpResponses got = parse_responses(say(port(), requests, ""));
  EXPECT_EQ(got.trouble, "");
  EXPECT_EQ(got.all.size(), 200u);
}

// It looks like one that has left until it is asked.
TEST_F(SmugglingTest, AClientThatShutsItsSideGetsItsAnswerWhileOneThatLeavesIsNoticed) {
  service.hang_before_text = true;
  const std::string body = question().dump();
  const std::string ask = post("Content-Length: " + std::to_string(body.size()) + "\r\n") + body;
  RawConnection half(port()), gone(port());
  half.send(ask);
  half.end_sending();
  gone.send(ask);
  ASSERT_EQ(service.wait_for_submitted(2), 2);
  gone.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  server().stop();  // which ends the other
  const HttpResponses got = parse_responses(half.read_all());
  EXPECT_EQ(got.trouble, "");
  ASSERT_EQ(got.all.size(), 1u);
  EXPECT_EQ(got.all[0].status, 503);
  EXPECT_LE(got.num_interim, 1);
}

}  // namespace
}  // namespace sf::server
