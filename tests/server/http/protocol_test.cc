// HTTP as nobody's library speaks it: every connection gets answers that belong to its requests, or is closed; nothing
// of one request is ever read as another; and the next client is answered.
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr const char* kLast = "Connection: close\r\n\r\n";

class ProtocolTest : public HttpFixture {
 protected:
  void SetUp() override { start({.idle_timeout_s = 1, .read_timeout_s = 1, .head_timeout_s = 2}); }
  void TearDown() override { EXPECT_EQ(post_json(question())->status, 200) << "the next client"; }

  // All that the server says to these bytes until it closes.
  std::string say(const std::string& bytes) {
    RawConnection connection(port());
    connection.send(bytes);
    return connection.read_all();
  }
  // The same of many at once: some are closed only when a keep-alive has passed.
  std::vector<std::string> say_all(const std::vector<std::string>& many) {
    std::vector<std::unique_ptr<RawConnection>> connections;
    for (const std::string& bytes : many) {
      connections.push_back(std::make_unique<RawConnection>(port()));
      connections.back()->send(bytes);
    }
    std::vector<std::string> answers;
    for (const auto& connection : connections) answers.push_back(connection->read_all());
    return answers;
  }
  static std::string post_head(const std::string& headers) {
    return "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers;
  }
  static int count(const std::string& text, const std::string& word) {
    int found = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
  }
  // One answer, and it is a refusal.
  static void expect_refused(const std::string& answer, const std::string& what) {
    EXPECT_EQ(count(answer, "HTTP/1.1 4"), 1) << what << "\n" << answer;
    EXPECT_EQ(count(answer, "HTTP/1.1 "), 1) << what << "\n" << answer;
  }

  const std::string body_ = question().dump();
  const std::string length_ = "Content-Length: " + std::to_string(body_.size()) + "\r\n";
};

// The library answers the first and lets the connection go, which a client that pipelines must expect (RFC
// 9112, 9.3.2).
TEST_F(ProtocolTest, PipelinedRequestsAreNeverMixedUp) {
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const std::string answers = say(post_head(length_) + "\r\n" + body_ + get + get);
  ASSERT_TRUE(answers.starts_with("HTTP/1.1 200 ")) << answers;
  EXPECT_EQ(count(answers, "\"circle\""), 1) << answers;
  EXPECT_EQ(count(answers, "HTTP/1.1 "), count(answers, "HTTP/1.1 200 ")) << answers;
  EXPECT_LT(answers.find("\"circle\""), answers.find("\"live\"")) << answers;
}

TEST_F(ProtocolTest, ABodyThatIsRefusedIsNeverTheNextRequest) {
  const std::string hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const std::string length = "Content-Length: " + std::to_string(hidden.size()) + "\r\n";
  for (const std::string& line :
       {std::string("POST /v1/nothing HTTP/1.1\r\n"), std::string("PUT /v1/answer HTTP/1.1\r\n"),
        std::string("POST /v1/answer HTTP/1.1\r\nContent-Type: text/plain\r\n"),
        std::string("POST /v1/answer HTTP/1.1\r\nContent-Encoding: gzip\r\n")}) {
    const std::string answer = say(line + "Host: localhost\r\n" + length + "\r\n" + hidden);
    expect_refused(answer, line);
    EXPECT_EQ(answer.find("\"live\""), std::string::npos) << line;
  }
}

TEST_F(ProtocolTest, AmbiguousLengthsAreRefused) {
  for (const std::string& headers :
       {std::string("Content-Length: 5\r\nContent-Length: 6\r\n"), std::string("Content-Length: -1\r\n"),
        std::string("Content-Length: 5, 6\r\n"), std::string("Content-Length: 0x10\r\n"),
        std::string("Content-Length: 99999999999999999999999\r\n"), std::string("Content-Length: 5 5\r\n"),
        std::string("Transfer-Encoding: gzip\r\n"), std::string("Transfer-Encoding: chunked, identity\r\n"),
        length_ + "Transfer-Encoding: chunked\r\n", length_ + "Transfer-Encoding : chunked\r\n"}) {
    expect_refused(say(post_head(headers) + kLast + body_), headers);
  }
}

TEST_F(ProtocolTest, ChunksThatAreNone) {
  const std::string head = post_head("Transfer-Encoding: chunked\r\n") + kLast;
  for (const std::string& chunks :
       {std::string("zz\r\nab\r\n0\r\n\r\n"), std::string("-1\r\na\r\n0\r\n\r\n"), std::string("\r\n\r\n"),
        std::string("ffffffffffffffffff\r\na\r\n"), std::string("1\r\nab\r\n0\r\n\r\n"), std::string("5\r\nab"),
        std::string("2;") + std::string(20000, 'x') + "\r\nab\r\n0\r\n\r\n", std::string("0x2\r\nab\r\n0\r\n\r\n")}) {
    const std::string answer = say(head + chunks);
    EXPECT_EQ(answer.find(" 200 "), std::string::npos) << chunks.substr(0, 40);
    EXPECT_EQ(answer.find("HTTP/1.1 5"), std::string::npos) << chunks.substr(0, 40) << answer;
  }
  std::string one_by_one;
  for (const char byte : body_) one_by_one += std::string("1\r\n") + byte + "\r\n";
  EXPECT_NE(say(head + one_by_one + "0\r\n\r\n").find(" 200 "), std::string::npos);
}

TEST_F(ProtocolTest, HeadersThatAreNone) {
  std::vector<std::string> requests;
  for (const std::string& header :
       {std::string("No colon\r\n"), std::string(": no name\r\n"), std::string("Two words: x\r\n"),
        std::string("X: a\rb\r\n"), std::string("X: a\0b\r\n", 8),
        std::string("X-Long: ") + std::string(9000, 'a') + "\r\n", std::string(" folded: x\r\n")}) {
    requests.push_back("GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + header + kLast);
  }
  const std::vector<std::string> answers = say_all(requests);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].find("HTTP/1.1 5"), std::string::npos) << requests[i].substr(0, 60) << answers[i];
    EXPECT_LE(count(answers[i], "HTTP/1.1 "), 1) << requests[i].substr(0, 60) << answers[i];
  }
}

TEST_F(ProtocolTest, RequestLinesThatAreNone) {
  std::vector<std::string> requests;
  for (const char* line : {"GET", "GET /healthz", "GET /healthz HTTP/2.0", "get /healthz HTTP/1.1",
                           "GET healthz HTTP/1.1", "\x16\x03\x01\x02\x05", "PRI * HTTP/2.0", "GET /%zz%00 HTTP/1.1"}) {
    requests.push_back(std::string(line) + "\r\nHost: localhost\r\n" + kLast);
  }
  const std::vector<std::string> answers = say_all(requests);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(count(answers[i], "HTTP/1.1 4"), 1) << requests[i] << answers[i];
    EXPECT_EQ(count(answers[i], "HTTP/1.1 "), 1) << requests[i] << answers[i];
  }
}

TEST_F(ProtocolTest, NothingOfTheTargetReachesTheHeaders) {
  for (const char* target : {"/v1/models/a%0d%0aSet-Cookie:%20x=1", "/v2/models/a%0d%0aSet-Cookie:%20x=1/ready",
                             "/%0d%0aSet-Cookie:%20x=1", "/healthz?a=%0d%0aSet-Cookie:%20x=1"}) {
    const std::string answer = say(std::string("GET ") + target + " HTTP/1.1\r\nHost: localhost\r\n" + kLast);
    EXPECT_EQ(count(answer, "HTTP/1.1 "), 1) << target;
    EXPECT_GT(answer.find("Set-Cookie"), answer.find("\r\n\r\n")) << target << answer;
  }
}

TEST_F(ProtocolTest, OldClientsAreAnsweredAndClosed) {
  const std::string answer =
      say("POST /v1/answer HTTP/1.0\r\nContent-Type: application/json\r\n" + length_ + "\r\n" + body_);
  EXPECT_NE(answer.find(" 200 "), std::string::npos) << answer;
  EXPECT_NE(answer.find("\"circle\""), std::string::npos) << answer;
  // A stream to one that knows no chunks ends with the connection.
  json streamed = question();
  streamed["stream"] = true;
  const std::string text = streamed.dump();
  const std::string events = say("POST /v1/answer HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
                                 std::to_string(text.size()) + "\r\n\r\n" + text);
  EXPECT_NE(events.find("data: [DONE]"), std::string::npos) << events;
}

TEST_F(ProtocolTest, ContinueIsSaidOnlyToABodyThatWillBeRead) {
  RawConnection asked(port());
  asked.send(post_head(length_) + "Expect: 100-continue\r\n" + kLast);
  EXPECT_EQ(asked.read_until("\r\n\r\n").rfind("HTTP/1.1 100 ", 0), 0u);
  asked.send(body_);
  EXPECT_NE(asked.read_all().find(" 200 "), std::string::npos);
  RawConnection refused(port());
  refused.send("POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n" + length_ + kLast);
  expect_refused(refused.read_all(), "an unknown route");
  RawConnection large(port());
  large.send(post_head("Content-Length: 99999999999\r\nExpect: 100-continue\r\n") + kLast);
  expect_refused(large.read_all(), "a body far over the limit");
}

TEST_F(ProtocolTest, AClientThatStopsInTheMiddleIsLetGo) {
  for (const std::string& begun : {std::string("GET /heal"), std::string("GET /healthz HTTP/1.1\r\nHo"),
                                   post_head(length_) + "\r\n{\"image\":", std::string("\r\n")}) {
    RawConnection connection(port());
    connection.send(begun);
    EXPECT_EQ(connection.read_all().find(" 200 "), std::string::npos) << begun;  // returns: the server has closed
  }
}

}  // namespace
}  // namespace sf::server
