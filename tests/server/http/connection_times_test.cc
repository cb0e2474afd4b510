// A client that trickles a request's head is let go; one that is slow with its body, or waits for its answer, is not.
#include <chrono>
#include <thread>

#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using Clock = std::chrono::steady_clock;

class ConnectionTimesTest : public HttpFixture {
 protected:
  void SetUp() override { start({.idle_timeout_s = 20, .head_timeout_s = 1, .body_timeout_s = 20}); }

  // Sends a byte every 50 ms until the peer takes no more; the seconds until then, at most 15.
  static double trickle(RawConnection& connection, const std::string& bytes) {
    const auto begin = Clock::now();
    for (size_t i = 0; Clock::now() - begin < std::chrono::seconds(15); ++i) {
      if (!connection.send(bytes.substr(i % bytes.size(), 1))) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
};

constexpr double kLatest = 8;  // of a limit of 1 s, on a busy machine

TEST_F(ConnectionTimesTest, AHeadThatTricklesIsCut) {
  RawConnection connection(port());
  connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
  const double seconds = trickle(connection, "a");
  EXPECT_GT(seconds, 0.9);
  EXPECT_LT(seconds, kLatest);
  EXPECT_EQ(client->Get("/healthz")->status, 200);
}

TEST_F(ConnectionTimesTest, HeadersWithoutEndAreCut) {
  RawConnection connection(port());
  connection.send("GET /healthz HTTP/1.1\r\n");
  EXPECT_LT(trickle(connection, "a: b\r\n"), kLatest);
}

TEST_F(ConnectionTimesTest, WhoSendsNothingIsCutToo) {
  RawConnection connection(port());
  const auto begin = Clock::now();
  EXPECT_EQ(connection.read_all(), "");
  EXPECT_LT(std::chrono::duration<double>(Clock::now() - begin).count(), kLatest);
}

TEST_F(ConnectionTimesTest, TheSecondHeadOfAConnectionHasItsOwnTime) {
  RawConnection connection(port());
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (int i = 0; i < 4; ++i) {  // longer than the limit, all together
    connection.send(request);
    EXPECT_NE(connection.read_until("true}").find(" 200 "), std::string::npos) << i;
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
  }
  connection.send("GET /healthz HTTP/1.1\r\nX-Slow: ");
  EXPECT_LT(trickle(connection, "a"), kLatest);
}

TEST_F(ConnectionTimesTest, ASlowBodyGoesOn) {
  RawConnection connection(port());
  const std::string body = question().dump();
  connection.send(
      "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n" +
      std::string("Content-Length: ") + std::to_string(body.size()) + "\r\n\r\n");
  for (const char byte : body) {  // about 3 s
    ASSERT_TRUE(connection.send(std::string(1, byte)));
    std::this_thread::sleep_for(std::chrono::milliseconds(3000 / body.size()));
  }
  EXPECT_NE(connection.read_all().find(" 200 "), std::string::npos);
}

TEST_F(ConnectionTimesTest, WhoWaitsForItsAnswerIsLeftAlone) {
  service.hang_before_text = true;
  RawConnection connection(port());
  const std::string body = question().dump();
  connection.send("POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(service.wait_for_submitted(1), 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_EQ(service.wait_for_finished(0).size(), 0u) << "it was taken for gone";
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
}

// A connection that has sent its request and finds no thread is not slow: nobody has read it yet.
TEST_F(ConnectionTimesTest, WhoWaitsForAThreadIsLeftAlone) {
  service.hang_before_text = true;
  HttpOptions options{.head_timeout_s = 1};
  options.limits.max_batch = 1;
  options.limits.max_queue_requests = 1;
  start(options);
  const int threads = options.limits.num_frontend_threads();
  const std::string body = question().dump();
  const std::string ask =
      "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  std::vector<std::unique_ptr<RawConnection>> busy;
  for (int i = 0; i < threads; ++i) {
    busy.push_back(std::make_unique<RawConnection>(port()));
    busy.back()->send(ask);
  }
  ASSERT_EQ(service.wait_for_submitted(threads), threads);
  RawConnection waits(port());
  waits.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  busy.clear();
  EXPECT_NE(waits.read_all().find(" 200 "), std::string::npos);
}

}  // namespace
}  // namespace sf::server
