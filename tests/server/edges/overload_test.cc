// More than the server can do, more clients than it has threads, an engine that stands still, and the end.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include "tests/server/edges/edges_fixture.h"
#include "tests/support/raw_connection.h"

namespace sf::server {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What many clients were told.
struct Told {
  int answered = 0, refused = 0, unavailable = 0, other = 0;
  int without_hint = 0;  // refused or unavailable, and not a word of when to come back
  std::vector<double> refused_ms = {};
  double seconds = 0;

  void add(const Outcome& outcome, double took_ms) {
    answered += outcome.end == End::kAnswered;
    refused += outcome.end == End::kRefused;
    unavailable += outcome.end == End::kUnavailable;
    other += outcome.end == End::kOther || outcome.end == End::kDeadline;
    without_hint += (outcome.end == End::kRefused || outcome.end == End::kUnavailable) && outcome.retry_after_s < 1;
    if (outcome.end == End::kRefused) refused_ms.push_back(took_ms);
  }
  void add(const Told& more) {
    answered += more.answered;
    refused += more.refused;
    unavailable += more.unavailable;
    other += more.other;
    without_hint += more.without_hint;
    refused_ms.insert(refused_ms.end(), more.refused_ms.begin(), more.refused_ms.end());
  }
  double per_second() const { return answered / seconds; }
  double p99_ms() {
    if (refused_ms.empty()) return 0;
    std::sort(refused_ms.begin(), refused_ms.end());
    return refused_ms[refused_ms.size() * 99 / 100];
  }
};

class OverloadTest : public EdgesFixture {
 protected:
  struct Load {
    int num_clients = 1;
    double seconds = 1;
    double interval_s = 0;  // of each client: it asks no more often
  };
  // REST and gRPC by turns, whole answers and streams.
  Told ask_all(const Load& load) {
    static constexpr Api kApis[] = {Api::kRest, Api::kGrpc, Api::kRestStream, Api::kGrpcStream};
    std::mutex mutex;
    Told all;
    std::vector<std::thread> clients;
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < load.num_clients; ++i) {
      clients.emplace_back([&, i] {
        Told told;
        auto next = start + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(load.interval_s * i / load.num_clients));
        while (true) {
          std::this_thread::sleep_until(next);
          next += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(load.interval_s));
          if (seconds_since(start) >= load.seconds) break;
          const Clock::time_point asked = Clock::now();
          const Outcome outcome = begin(kApis[i % 4], {.question = std::string(15, 'x')})->finish();
          told.add(outcome, seconds_since(asked) * 1e3);
        }
        std::lock_guard lock(mutex);
        all.add(told);
      });
    }
    for (std::thread& client : clients) client.join();
    all.seconds = seconds_since(start);
    return all;
  }
  // Whether health and metrics answer on both ports; the slowest of the four, in ms.
  double slowest_probe_ms() {
    double slowest = 0;
    for (const int port : {server().ports().http, server().ports().admin}) {
      for (const char* path : {"/v2/health/live", "/metrics"}) {
        const Clock::time_point asked = Clock::now();
        RawConnection connection(port);
        connection.send(concat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        EXPECT_EQ(connection.read_all().substr(0, 12), "HTTP/1.1 200") << path << " on " << port;
        slowest = std::max(slowest, seconds_since(asked) * 1e3);
      }
    }
    return slowest;
  }
  int live_status() {
    RawConnection connection(server().ports().admin);
    connection.send("GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const std::string answer = connection.read_all();
    return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3));
  }
};

// An engine of 8 sequences and 10 ms a step answers about 45 questions of 15 letters a second.
TEST_F(OverloadTest, TenTimesTheCapacityCostsNobodyWhoIsServed) {
  options_.max_batch = 8;
  options_.max_queue_requests = 16;
  start({.step_seconds = 0.01, .keep_plans = false});
  const double seconds = is_long() ? 60 : 3;
  // As many as the queue holds: when a batch ends at once, all of them wait.
  Told peak = ask_all({.num_clients = 16, .seconds = is_long() ? 20.0 : 2.0});
  EXPECT_EQ(peak.refused + peak.unavailable + peak.other, 0);
  const int prepared = engine().num_prepared(), clients = 64;
  const double memory_mib = resident_mib();
  Told told = ask_all({.num_clients = clients, .seconds = seconds, .interval_s = clients / (10 * peak.per_second())});
  EXPECT_GT(told.refused, told.answered);
  EXPECT_EQ(told.unavailable + told.other, 0);
  EXPECT_EQ(told.without_hint, 0);
  EXPECT_EQ(engine().num_prepared() - prepared, told.answered) << "pictures decoded for requests that were refused";
  EXPECT_EQ(num_in_flight(), 0);
  EXPECT_LT(kMemoryIsGivenBack ? resident_mib() - memory_mib : 0, 64);
  const double ratio = told.per_second() / peak.per_second(), offered = (told.answered + told.refused) / told.seconds;
  std::printf("peak %.1f/s; offered %.1f/s: goodput %.1f/s (%.3f of peak), %d refused, p99 %.2f ms, %.0f -> %.0f MiB\n",
              peak.per_second(), offered, told.per_second(), ratio, told.refused, told.p99_ms(), memory_mib,
              resident_mib());
  if (is_long()) {
    EXPECT_GE(ratio, 0.9);
    EXPECT_LT(told.p99_ms(), 10);
  }
}

TEST_F(OverloadTest, TwoHundredAndFiftySixStreamsAndHealthAnswers) {
  options_.max_queue_requests = 512;
  options_.max_queue_tokens = 100'000;
  start({.step_seconds = 0.001, .keep_plans = false});
  engine().hold_steps();
  std::vector<std::unique_ptr<ApiCall>> streams;
  for (int i = 0; i < 256; ++i) streams.push_back(begin(Api::kRestStream, {.question = std::string(20, 'x')}));
  ASSERT_TRUE(wait_until([&] { return server().metric("sparsefusion_queue_depth") + engine().num_sequences() == 256; }))
      << server().metric("sparsefusion_queue_depth");
  double slowest_ms = slowest_probe_ms();
  engine().release_steps();
  slowest_ms = std::max(slowest_ms, slowest_probe_ms());
  for (auto& stream : streams) {
    const Outcome outcome = stream->finish();
    EXPECT_EQ(outcome.end, End::kAnswered) << outcome.text;
    EXPECT_NE(outcome.text.find("data: [DONE]"), std::string::npos);
  }
  std::printf("256 streams: health and metrics answer within %.1f ms\n", slowest_ms);
  if (is_long()) {
    EXPECT_LT(slowest_ms, 100);
  }
}

TEST_F(OverloadTest, WithTheDefaultsTheExcessIsRefusedAndHealthAnswers) {
  start({.keep_plans = false});
  engine().hold_steps();
  std::vector<std::unique_ptr<ApiCall>> streams;
  for (int i = 0; i < 256; ++i) streams.push_back(begin(Api::kRestStream, {.question = std::string(20, 'x')}));
  ASSERT_TRUE(wait_until([&] { return num_recorded() >= 256 - 96; }));
  double slowest_ms = slowest_probe_ms();
  engine().release_steps();
  Told told;
  for (auto& stream : streams) told.add(stream->finish(), 0);
  EXPECT_EQ(told.answered + told.refused, 256);
  EXPECT_GE(told.answered, 64) << "a queue of 64";
  EXPECT_LE(told.answered, 96) << "and a batch of 32";
  EXPECT_EQ(told.without_hint, 0);
  std::printf("256 streams: %d refused; health and metrics answer within %.1f ms\n", told.refused, slowest_ms);
  if (is_long()) {
    EXPECT_LT(slowest_ms, 100);
  }
}

TEST_F(OverloadTest, ABurstOnOneGrpcConnectionIsToldWhenToComeBack) {
  options_.max_batch = 4;
  options_.max_queue_requests = 4;
  start({.keep_plans = false});
  engine().hold_steps();
  std::vector<std::unique_ptr<ApiCall>> calls;
  for (int i = 0; i < 64; ++i) calls.push_back(begin(i % 2 == 0 ? Api::kGrpc : Api::kInferGrpc, {}));
  ASSERT_TRUE(wait_until([&] { return num_recorded() >= 64 - 8; }));
  engine().release_steps();
  Told told;
  for (auto& call : calls) told.add(call->finish(), 0);
  EXPECT_EQ(told.answered + told.refused, 64);
  EXPECT_GE(told.refused, 56);
  EXPECT_EQ(told.without_hint, 0);
}

TEST_F(OverloadTest, ADrainUnderLoadLosesNothingThatWasAdmitted) {
  start({.step_seconds = 0.002, .keep_plans = false});
  const int before = engine().num_admitted();
  std::vector<std::unique_ptr<ApiCall>> calls;
  for (int i = 0; i < 40; ++i)
    calls.push_back(begin(kAllApis[i % std::size(kAllApis)], {.question = std::string(50, 'x')}));
  ASSERT_TRUE(wait_until([&] { return engine().num_sequences() >= 8; }));
  server().app().begin_drain();
  for (const Api api : kAllApis) calls.push_back(begin(api, {}));
  EXPECT_TRUE(server().app().wait_idle(60));
  ASSERT_TRUE(wait_until([&] { return num_recorded() == static_cast<double>(calls.size()); }));
  const int admitted = engine().num_admitted() - before;
  server().app().stop();
  Told told;
  for (auto& call : calls) told.add(call->finish(), 0);
  EXPECT_EQ(told.answered, admitted) << "admitted and lost";
  EXPECT_EQ(told.refused + told.other, 0);
  EXPECT_EQ(told.unavailable, static_cast<int>(calls.size()) - admitted);
  EXPECT_GE(told.answered, 8);
}

TEST_F(OverloadTest, AStuckEngineIsNotLiveAndAnIdleServerAlwaysIs) {
  const double limit_s = 0.2;
  options_.stall_limit_s = limit_s;
  start();
  EXPECT_EQ(begin(Api::kRest, {})->finish().end, End::kAnswered);
  const Clock::time_point idle_since = Clock::now();
  while (seconds_since(idle_since) < 3 * limit_s) ASSERT_EQ(live_status(), 200) << "idle";
  engine().hold_steps();
  auto call = begin(Api::kRest, {});
  engine().wait_until_blocked();
  const Clock::time_point stuck_since = Clock::now();
  EXPECT_TRUE(wait_until([&] { return live_status() == 503; }));
  const double noticed_s = seconds_since(stuck_since);
  std::printf("a stuck engine: 503 after %.2f s, the limit is %.2f s\n", noticed_s, limit_s);
  if (is_long()) {
    EXPECT_LE(noticed_s, 2 * limit_s);
  }
  engine().release_steps();
  EXPECT_EQ(call->finish().end, End::kAnswered);
  EXPECT_TRUE(wait_until([&] { return live_status() == 200; }));
}

}  // namespace
}  // namespace sf::server
