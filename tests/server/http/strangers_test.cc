// Strangers on both HTTP ports who hold whatever can be held: health answers all the same, and real requests too as
// soon as a worker is free.
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"
#include "tests/support/process.h"
#include "tests/support/tls_folder.h"

namespace sf::server {
namespace {

using Clock = std::chrono::steady_clock;
using Connections = std::vector<std::unique_ptr<RawConnection>>;

class StrangersTest : public HttpFixture, protected TlsFolder {
 protected:
  void SetUp() override {
    rlimit limit{};  // client and server are one process here
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 4000) GTEST_SKIP() << "this machine lets a process open " << limit.rlim_cur << " files";
  }
  void start_both(HttpOptions options = {}) {
    admin_ = std::make_unique<AdminServer>(AdminOptions{.port = 0, .certificate = options.certificate}, service);
    admin_->start();
    start(std::move(options));
  }
  std::vector<int> ports() const { return {port(), admin_->port()}; }

  static Connections open_many(int port, int count, const std::string& bytes) {
    Connections connections;
    for (int i = 0; i < count; ++i) {
      connections.push_back(std::make_unique<RawConnection>(port));
      connections.back()->send(bytes);
    }
    return connections;
  }
  // Asks each port in turn; the slowest answer in seconds.
  double slowest_health() {
    double slowest = 0;
    for (const int where : ports()) {
      for (const char* path : {"/healthz", "/v2/health/ready"}) {
        const auto begin = Clock::now();
        RawConnection connection(where);
        connection.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        EXPECT_TRUE(connection.read_all().starts_with("HTTP/1.1 200 ")) << path << " on " << where;
        slowest = std::max(slowest, std::chrono::duration<double>(Clock::now() - begin).count());
      }
    }
    return slowest;
  }

 private:
  std::unique_ptr<AdminServer> admin_;
};

constexpr double kPatience = 5;  // on a busy machine; a client of the tests waits for 10 s

TEST_F(StrangersTest, SixHundredSlowHeadsOnEachPort) {
  start_both();
  std::vector<Connections> slow;
  for (const int where : ports()) slow.push_back(open_many(where, 600, "GET /healthz HTTP/1.1\r\nX-Slow: "));
  EXPECT_LT(slowest_health(), kPatience);
  EXPECT_EQ(post_json(question())->status, 200);
}

TEST_F(StrangersTest, SlowBodiesOnEveryWorkerOfEachPort) {
  HttpOptions options;
  options.limits.max_batch = options.limits.max_queue_requests = 1;
  start_both(options);
  std::vector<Connections> slow;
  slow.push_back(open_many(port(), options.limits.num_frontend_threads() + 20,
                           "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           "Content-Length: 1000\r\n\r\n{"));
  slow.push_back(open_many(ports()[1], 40,
                           "POST /v1/admin/load HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           "Content-Length: 1000\r\n\r\n{"));
  for (int i = 0; i < 10; ++i) EXPECT_LT(slowest_health(), kPatience);
}

TEST_F(StrangersTest, AnswersThatNobodyReadsOnEveryWorker) {
  HttpOptions options;
  options.limits.max_batch = options.limits.max_queue_requests = 1;
  options.write_timeout_s = 1;
  service.deltas.assign(20'000, std::string(100, 'x'));
  start_both(options);
  nlohmann::json streamed = question();
  streamed["stream"] = true;
  const std::string body = streamed.dump();
  Connections deaf;
  for (int i = 0; i < options.limits.num_frontend_threads() + 20; ++i) {
    deaf.push_back(std::make_unique<RawConnection>(port()));
    deaf.back()->set_receive_buffer(2048);
    deaf.back()->send(
        "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  EXPECT_LT(slowest_health(), kPatience);
  // They are taken for gone, and their answers with them.
  EXPECT_GE(service.wait_for_finished(1).size(), 1u);
}

TEST_F(StrangersTest, TlsHandshakesThatNeverEnd) {
  start_both({.head_timeout_s = 2, .certificate = server_certificate()});
  std::vector<Connections> strangers;
  for (const int where : ports()) {
    strangers.push_back(open_many(where, 200, ""));                              // not a byte
    strangers.push_back(open_many(where, 200, std::string("\x16\x03\x01", 3)));  // a record's head
  }
  for (const int where : ports()) {
    const auto begin = Clock::now();
    EXPECT_TRUE(shake_hands(where).accepted);
    EXPECT_LT(std::chrono::duration<double>(Clock::now() - begin).count(), kPatience);
  }
  EXPECT_EQ(strangers[0].front()->read_all(), "") << "cut";
  EXPECT_EQ(strangers[1].front()->read_all(), "") << "cut";
}

TEST_F(StrangersTest, SlowHeadsAndBodiesOverTls) {
  start_both({.head_timeout_s = 1, .certificate = server_certificate()});
  httplib::SSLClient kept("127.0.0.1", port());
  kept.enable_server_certificate_verification(false);
  kept.set_keep_alive(true);
  const std::string body = question(std::string(300'000, 'p')).dump();  // larger than any buffer on its way
  for (int i = 0; i < 3; ++i) {
    const httplib::Result result = kept.Post("/v1/answer", body, "application/json");
    ASSERT_TRUE(result) << i;
    EXPECT_EQ(result->status, 200);
    std::this_thread::sleep_for(std::chrono::milliseconds(1300));  // idle for longer than a head may take
  }
}

TEST_F(StrangersTest, AnIdleConnectionIsKeptAndThenClosed) {
  start_both({.idle_timeout_s = 2});
  RawConnection connection(port());
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  connection.send(request);
  EXPECT_NE(connection.read_until("true}").find("Keep-Alive: timeout=2\r\n"), std::string::npos);
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  connection.send(request);
  EXPECT_TRUE(connection.read_until("true}").starts_with("HTTP/1.1 200 "));
  const auto begin = Clock::now();
  EXPECT_EQ(connection.read_all(), "");
  EXPECT_GT(std::chrono::duration<double>(Clock::now() - begin).count(), 1.5);
}

}  // namespace
}  // namespace sf::server
