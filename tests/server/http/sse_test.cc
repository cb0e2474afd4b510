#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class SseTest : public HttpFixture {
 protected:
  httplib::Result stream() {
    json body = question();
    body["stream"] = true;
    return post_json(body);
  }
  // The data of each event. Every event must be "data: ...\n\n" and nothing else.
  static std::vector<std::string> events(std::string body) {
    std::vector<std::string> found;
    while (!body.empty()) {
      const size_t end = body.find("\n\n");
      EXPECT_NE(end, std::string::npos);
      EXPECT_EQ(body.substr(0, 6), "data: ");
      if (end == std::string::npos) break;
      found.push_back(body.substr(6, end - 6));
      EXPECT_EQ(found.back().find('\n'), std::string::npos);
      body.erase(0, end + 2);
    }
    return found;
  }
  std::string streaming_request(const std::string& extra = "") const {
    json body = question();
    body["stream"] = true;
    return "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + extra +
           "Content-Length: " + std::to_string(body.dump().size()) + "\r\n\r\n" + body.dump();
  }
};

TEST_F(SseTest, SendsDeltasThenTheAnswerThenDone) {
  service.deltas = {"a \"red\"\n", "", "gr\xc3\xbcn"};
  start();
  const httplib::Result result = stream();
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
  EXPECT_EQ(result->get_header_value("X-Model-Version"), "3");
  EXPECT_TRUE(result->has_header("X-Request-Id"));
  const auto found = events(result->body);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(json::parse(found[0])["delta"], "a \"red\"\n");
  EXPECT_EQ(json::parse(found[1])["delta"], "gr\xc3\xbcn");
  const json last = json::parse(found[2]);
  EXPECT_EQ(last["answer"], "a \"red\"\ngr\xc3\xbcn");
  EXPECT_EQ(last["usage"]["prompt_tokens"], 20);
  EXPECT_EQ(last["finish_reason"], "stop");
  EXPECT_EQ(last["id"], json::parse(found[0])["id"]);
  EXPECT_EQ(found[3], "[DONE]");
  const auto finished = service.wait_for_finished(1);
  EXPECT_EQ(finished.at(0).code, "200");
  EXPECT_TRUE(finished.at(0).has_summary);
}

TEST_F(SseTest, SendsAnEventAWrite) {
  service.deltas = {"one", "two", "three"};
  start();
  RawConnection connection(port());
  connection.send(streaming_request("Connection: close\r\n"));
  const std::string text = connection.read_all();
  // Each chunk of the body holds exactly one event.
  for (const char* delta : {"one", "two", "three"}) {
    const size_t at = text.find(std::string("\"delta\":\"") + delta);
    ASSERT_NE(at, std::string::npos);
    const size_t chunk_end = text.find("\r\n", at);
    EXPECT_EQ(text.substr(chunk_end - 2, 2), "\n\n");
    EXPECT_EQ(text.rfind("\r\ndata: ", at), text.rfind("data: ", at) - 2);
  }
}

TEST_F(SseTest, EndsWithAnErrorEventWhenTheAnswerBreaks) {
  service.deltas = {"some"};
  service.stream_error = Error(Code::kDeadlineExceeded, "too late");
  start();
  const httplib::Result result = stream();
  EXPECT_EQ(result->status, 200);
  const auto found = events(result->body);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(json::parse(found[1])["error"]["code"], "deadline_exceeded");
  EXPECT_EQ(found[2], "[DONE]");
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "504");
}

TEST_F(SseTest, CancelsWhenTheClientLeavesAfterText) {
  service.hang_after_text = true;
  start();
  RawConnection connection(port());
  connection.send(streaming_request());
  EXPECT_NE(connection.read_until("circle").find("200"), std::string::npos);
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
}

TEST_F(SseTest, CancelsWhenTheClientLeavesBeforeText) {
  service.hang_before_text = true;
  start();
  RawConnection connection(port());
  connection.send(streaming_request());
  ASSERT_EQ(service.wait_for_submitted(1), 1);
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
}

TEST_F(SseTest, CancelsAWholeAnswerWhenTheClientLeaves) {
  service.hang_before_text = true;
  start();
  RawConnection connection(port());
  const std::string body = question().dump();
  connection.send("POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_EQ(service.wait_for_submitted(1), 1);
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
  service.hang_before_text = false;
  EXPECT_EQ(post_json(question())->status, 200);
}

TEST_F(SseTest, StopEndsWhatStillRuns) {
  service.hang_after_text = true;
  start();
  RawConnection streaming(port());
  streaming.send(streaming_request());
  streaming.read_until("circle");
  RawConnection waiting(port());
  const std::string body = question().dump();
  waiting.send("POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_EQ(service.wait_for_submitted(2), 2);
  server().stop();
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
  EXPECT_NE(waiting.read_all().find("503"), std::string::npos);
}

}  // namespace
}  // namespace sf::server
