// What clients may do to a port, and that the next one is answered all the same.
#include "server/connections/connection_loop.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <random>
#include <thread>
#include <vector>

#include "engine/base/error.h"
#include "tests/server/connections/echo_port.h"
#include "tests/support/process.h"
#include "tests/support/raw_connection.h"

namespace sf::server {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::wait_until;

using Connections = std::vector<std::unique_ptr<RawConnection>>;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string get(const std::string& target, const std::string& headers = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}
const std::string kLast = "Connection: close\r\n";

std::string ask(int port, const std::string& bytes) {
  RawConnection connection(port);
  connection.send(bytes);
  return connection.read_all();
}

bool answers(int port, const std::string& target = "/urgent") {
  return ask(port, get(target, kLast)).starts_with("HTTP/1.1 200 OK");
}

int count(const std::string& text, const std::string& word) {
  int found = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST(ConnectionLoopTest, SixHundredSlowHeadsHoldNoWorker) {
  EchoPort port({.num_workers = 2, .num_reserved = 1, .max_connections = 4096, .max_connections_of_peer = 4096});
  Connections slow;
  for (int i = 0; i < 600; ++i) {
    slow.push_back(std::make_unique<RawConnection>(port.port()));
    slow.back()->send("GET /urgent HTTP/1.1\r\nX-Slow: ");
  }
  ASSERT_TRUE(wait_until([&] { return port.loop().num_connections() == 600; }));
  EXPECT_TRUE(answers(port.port()));
  EXPECT_TRUE(answers(port.port(), "/any"));
  EXPECT_EQ(port.handler().num_served, 2);
  for (auto& connection : slow) connection->send("\r\nHost: x\r\nConnection: close\r\n\r\n");
  for (auto& connection : slow) EXPECT_TRUE(connection->read_all().starts_with("HTTP/1.1 200 OK"));
}

TEST(ConnectionLoopTest, BeyondTheBoundTheSlowestMakeRoom) {
  EchoPort port({.num_workers = 2, .max_connections = 100, .max_connections_of_peer = 50});
  RawConnection idle(port.port());
  idle.send(get("/first"));
  idle.read_until("/first ");
  Connections slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(std::make_unique<RawConnection>(port.port()));
    slow.back()->send("GET /urgent HTTP/1.1\r\n");
  }
  EXPECT_TRUE(answers(port.port()));
  EXPECT_LE(port.loop().num_connections(), 50u);
  EXPECT_EQ(slow.front()->read_all(), "") << "the oldest is cut";
}

TEST(ConnectionLoopTest, UrgentRequestsAreAnsweredWhileEveryWorkerIsHeld) {
  EchoPort port({.num_workers = 2, .num_reserved = 1, .max_waiting = 3});
  Connections busy;
  for (int i = 0; i < 5; ++i) {  // two are held, three wait
    busy.push_back(std::make_unique<RawConnection>(port.port()));
    busy.back()->send(get("/hold", kLast));
    if (i == 1) {
      ASSERT_TRUE(wait_until([&] { return port.handler().num_held == 2; }));
    }
  }
  ASSERT_TRUE(wait_until([&] { return port.loop().num_connections() == 5; }));
  EXPECT_TRUE(answers(port.port()));
  EXPECT_TRUE(wait_until([&] { return ask(port.port(), get("/any", kLast)).starts_with("HTTP/1.1 429 "); }, 10));
  EXPECT_TRUE(answers(port.port()));
  port.handler().release();
  for (auto& connection : busy) EXPECT_TRUE(connection->read_all().starts_with("HTTP/1.1 200 OK"));
}

// Health that is asked again and again by a client that reads nothing must not hold the reserved thread.
TEST(ConnectionLoopTest, AClientThatReadsNothingHoldsNoReservedWorker) {
  EchoPort port({.num_workers = 1, .num_reserved = 1});
  RawConnection held(port.port());
  held.send(get("/hold", kLast));
  ASSERT_TRUE(wait_until([&] { return port.handler().num_held == 1; }));
  RawConnection greedy(port.port());
  greedy.set_receive_buffer(4096);
  std::thread sender([&] {
    const std::string request = get("/urgent", "X: " + std::string(6000, 'a') + "\r\n");
    for (int i = 0; i < 2000 && greedy.send(request); ++i) {
    }
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(answers(port.port()));
  greedy.end_sending();
  sender.join();
}

TEST(ConnectionLoopTest, PipelinedRequestsAreAnsweredInOrder) {
  EchoPort port({.num_workers = 4});
  std::string requests, expected;
  for (int i = 0; i < 200; ++i) requests += get(concat("/", i), i == 199 ? kLast : "");
  const std::string text = ask(port.port(), requests);
  EXPECT_EQ(count(text, "HTTP/1.1 200 OK"), 200);
  size_t at = 0;
  for (int i = 0; i < 200; ++i) {
    at = text.find(concat("\r\n\r\n/", i, " "), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST(ConnectionLoopTest, AClientThatShutsItsSideGetsItsAnswers) {
  EchoPort port({.num_workers = 2});
  RawConnection connection(port.port());
  connection.send(get("/1") + get("/2") + "POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + "GET /half");
  connection.end_sending();
  const std::string text = connection.read_all();
  EXPECT_EQ(count(text, "HTTP/1.1 "), 3) << text;
  EXPECT_TRUE(text.ends_with("/3 body")) << text;
  EXPECT_TRUE(wait_until([&] { return port.loop().num_connections() == 0; }, 5));
}

TEST(ConnectionLoopTest, NothingBehindARefusedHeadIsRead) {
  EchoPort port({.num_workers = 2});
  const std::string text = ask(port.port(), "GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n" + get("/hidden"));
  EXPECT_EQ(count(text, "HTTP/1.1 "), 1) << text;
  EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << text;
  EXPECT_EQ(port.handler().num_served, 1);
}

TEST(ConnectionLoopTest, ConnectionCloseCloses) {
  EchoPort port({.num_workers = 2});
  EXPECT_EQ(count(ask(port.port(), get("/1", kLast) + get("/2")), "HTTP/1.1 "), 1);
  EXPECT_EQ(count(ask(port.port(), "GET /1 HTTP/1.0\r\n\r\n" + get("/2")), "HTTP/1.1 "), 1);
}

TEST(ConnectionLoopTest, HeadsAndIdleConnectionsHaveTheirTimes) {
  EchoPort port({.num_workers = 2, .head_timeout = 300ms, .idle_timeout = 600ms});
  RawConnection silent(port.port()), slow(port.port()), idle(port.port());
  const auto begin = Clock::now();
  slow.send("GET / HTTP/1.1\r\n");
  idle.send(get("/1"));
  EXPECT_TRUE(idle.read_until("/1 ").starts_with("HTTP/1.1 200 OK"));
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(slow.read_all(), "");
  EXPECT_GE(seconds_since(begin), 0.25);
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_GE(seconds_since(begin), 0.55);
  EXPECT_LT(seconds_since(begin), 8);
}

TEST(ConnectionLoopTest, ASlowBodyIsCut) {
  LoopOptions options{.num_workers = 1};
  options.stream.rates = {.window = 1s, .bytes_per_s = 1000};
  options.stream.read_timeout = 5s;
  options.linger_timeout = 500ms;
  EchoPort port(options);
  RawConnection slow(port.port());
  slow.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  const auto begin = Clock::now();
  while (seconds_since(begin) < 8 && slow.send("a")) std::this_thread::sleep_for(20ms);
  EXPECT_LT(seconds_since(begin), 8);
  EXPECT_TRUE(answers(port.port(), "/next")) << "the worker is free";
}

// The answer is written by the loop, to the last byte, while the only worker serves others; who takes nothing is cut.
TEST(ConnectionLoopTest, ASlowReaderHoldsNoWorkerForLong) {
  LoopOptions options{.num_workers = 1};
  options.stream.rates = {.window = 1s, .bytes_per_s = 1000};
  options.stream.max_kept = EchoHandler::kLargeBytes;
  EchoPort port(options);
  RawConnection slow(port.port()), dead(port.port());
  for (RawConnection* connection : {&slow, &dead}) {
    connection->set_receive_buffer(32 << 10);
    connection->send(get("/large", kLast));
  }
  ASSERT_TRUE(wait_until([&] { return port.handler().num_served == 2; }));
  EXPECT_TRUE(answers(port.port(), "/next"));
  size_t size = 0;
  for (std::string text = slow.read_some(1000); !text.empty(); text = slow.read_some(1 << 16)) size += text.size();
  EXPECT_GE(size, EchoHandler::kLargeBytes);
  EXPECT_TRUE(wait_until([&] { return port.loop().num_connections() == 0; }, 10)) << "the dead one is kept";
}

// More than may be kept for it: the worker waits, though not for ever.
TEST(ConnectionLoopTest, AReaderThatTakesNothingFreesItsWorker) {
  LoopOptions options{.num_workers = 1};
  options.stream.rates = {.window = 500ms, .bytes_per_s = 1000};
  options.stream.max_kept = 1000;
  EchoPort port(options);
  RawConnection dead(port.port());
  dead.set_receive_buffer(4096);
  dead.send(get("/large", kLast));
  ASSERT_TRUE(wait_until([&] { return port.handler().num_served == 1; }));
  const auto begin = Clock::now();
  EXPECT_TRUE(answers(port.port(), "/next"));
  EXPECT_LT(seconds_since(begin), 8);
}

TEST(ConnectionLoopTest, ADrainClosesIdleConnectionsAndAnswersOthers) {
  EchoPort port({.num_workers = 2});
  RawConnection idle(port.port()), busy(port.port()), begun(port.port());
  idle.send(get("/1"));
  idle.read_until("/1 ");
  begun.send(get("/1"));
  begun.read_until("/1 ");
  begun.send("GET /2 HTTP/1.1\r\n");
  busy.send(get("/hold"));
  ASSERT_TRUE(wait_until([&] { return port.handler().num_held == 1; }));
  std::this_thread::sleep_for(50ms);  // the begun head is read
  port.loop().drain();
  EXPECT_EQ(idle.read_all(), "");
  begun.send("Host: x\r\n\r\n");
  EXPECT_TRUE(begun.read_all().starts_with("HTTP/1.1 200 OK"));
  port.handler().release();
  EXPECT_TRUE(busy.read_all().starts_with("HTTP/1.1 200 OK"));
  EXPECT_TRUE(answers(port.port())) << "new ones still come in";
}

TEST(ConnectionLoopTest, StopEndsWhateverIsOpen) {
  auto port = std::make_unique<EchoPort>(LoopOptions{.num_workers = 2});
  RawConnection silent(port->port()), body(port->port()), idle(port->port());
  body.send("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin");
  idle.send(get("/1"));
  idle.read_until("/1 ");
  ASSERT_TRUE(wait_until([&] { return port->handler().num_served == 2; }));
  const auto begin = Clock::now();
  port.reset();
  EXPECT_LT(seconds_since(begin), 4);
  EXPECT_EQ(silent.read_all() + body.read_all() + idle.read_all(), "");
}

TEST(ConnectionLoopTest, TwoPortsCannotBeOne) {
  EchoPort port({.num_workers = 1});
  EchoHandler handler;
  ConnectionLoop second({.host = "127.0.0.1", .port = port.port(), .num_workers = 1}, handler);
  EXPECT_THROW(second.start(), Error);
  ConnectionLoop nowhere({.host = "192.0.2.1", .num_workers = 1}, handler);
  EXPECT_THROW(nowhere.start(), Error);
}

// --- no file is left ---

class NoFilesTest : public testing::Test {
 protected:
  ~NoFilesTest() override {
    give_back();
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  void take_all() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = dup(0); fd >= 0; fd = dup(0)) taken_.push_back(fd);
  }
  void give_back() {
    for (const int fd : taken_) ::close(fd);
    taken_.clear();
  }
  rlimit before_{};
  std::vector<int> taken_;
};

// A socket that was made in time.
class LateClient {
 public:
  LateClient() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~LateClient() { ::close(fd_); }
  bool connect_to(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  std::string ask(const std::string& bytes) {
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return "";
    std::string text(4096, '\0');
    const ssize_t size = ::recv(fd_, text.data(), text.size(), MSG_WAITALL);
    return text.substr(0, size < 0 ? 0 : static_cast<size_t>(size));
  }

 private:
  const int fd_;
};

TEST_F(NoFilesTest, TheNextClientIsAnsweredAndNothingSpins) {
  EchoPort port({.num_workers = 1, .num_reserved = 1});
  LateClient first, second, third;
  RawConnection held(port.port());
  held.send(get("/hold", kLast));
  ASSERT_TRUE(wait_until([&] { return port.handler().num_held == 1; }));
  take_all();
  ASSERT_TRUE(first.connect_to(port.port()));
  EXPECT_TRUE(first.ask(get("/urgent", kLast)).starts_with("HTTP/1.1 200 OK")) << "the file that was kept for it";
  // Files go when clients do: the kept one is open again, and taken by a client that says nothing.
  ASSERT_TRUE(wait_until([&] { return port.loop().num_connections() == 1; }, 10));
  ASSERT_TRUE(second.connect_to(port.port()) && third.connect_to(port.port()));
  EXPECT_TRUE(third.ask(get("/urgent", kLast)).starts_with("HTTP/1.1 200 OK")) << "the silent one makes room";
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.25);
  give_back();
  EXPECT_TRUE(answers(port.port()));
}

TEST_F(NoFilesTest, WithNothingToGiveUpItWaitsWithoutSpinning) {
  EchoPort port({.num_workers = 2, .num_reserved = 1});
  LateClient taker, waiter;
  take_all();
  ASSERT_TRUE(taker.connect_to(port.port()));
  std::thread asker([&] { taker.ask(get("/hold", kLast)); });  // with the file that was kept
  ASSERT_TRUE(wait_until([&] { return port.handler().num_held == 1; }));
  ASSERT_TRUE(waiter.connect_to(port.port()));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.25);
  give_back();
  EXPECT_TRUE(waiter.ask(get("/urgent", kLast)).starts_with("HTTP/1.1 200 OK"));
  port.handler().release();
  asker.join();
}

}  // namespace
}  // namespace sf::server
