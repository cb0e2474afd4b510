// Clients that leave and requests that come too late, over every API.
#include <atomic>
#include <random>
#include <thread>

#include "tests/server/edges/edges_fixture.h"

namespace sf::server {
namespace {

class LeavingTest : public EdgesFixture {
 protected:
  // Lets steps end one by one until the engine holds nothing. Returns how many that took; 10 = too many.
  int steps_until_free() {
    for (int steps = 0; steps < 10; ++steps) {
      if (wait_until([&] { return engine().num_sequences() == 0; }, steps == 0 ? 0 : 0.5)) return steps;
      engine().allow_steps(1);
    }
    return 10;
  }
};

TEST_F(LeavingTest, AClientThatLeavesFreesItsSlotWithinTwoStepsOnEveryApi) {
  start();
  for (const Api api : kAllApis) {
    SCOPED_TRACE(name_of(api));
    engine().hold_steps();
    const double recorded = num_recorded();
    const int admitted = engine().num_admitted();
    auto call = begin(api, {.question = std::string(300, 'x')});
    engine().wait_until_blocked();
    engine().allow_steps(3);  // the prompt and two tokens: it decodes
    engine().wait_until_blocked();
    if (is_stream(api)) call->wait_for_text();
    ASSERT_EQ(engine().num_sequences(), 1);
    call->hang_up();
    // No step ends meanwhile: the frontend looks by itself.
    ASSERT_TRUE(wait_until([&] { return num_recorded() > recorded; }, 10)) << "nobody noticed";
    EXPECT_LE(steps_until_free(), 2);
    EXPECT_EQ(engine().num_admitted(), admitted + 1);
    EXPECT_EQ(num_in_flight(), 0);
    engine().release_steps();
  }
  EXPECT_EQ(server().metric("sparsefusion_requests_cancelled_total"), std::size(kAllApis));
}

TEST_F(LeavingTest, AClientThatLeavesTheQueueIsNeverComputed) {
  options_.max_batch = 1;
  start();
  engine().hold_steps();
  auto running = begin(Api::kRest, {.question = std::string(100, 'x')});
  engine().wait_until_blocked();
  const int admitted = engine().num_admitted();
  for (const Api api : kAllApis) {
    SCOPED_TRACE(name_of(api));
    const double recorded = num_recorded();
    auto call = begin(api, {});
    ASSERT_TRUE(wait_until([&] { return server().metric("sparsefusion_requests_inflight{state=\"waiting\"") == 1; }));
    call->hang_up();
    ASSERT_TRUE(wait_until([&] { return num_recorded() > recorded; }, 10)) << "nobody noticed";
    engine().allow_steps(1);
    EXPECT_TRUE(wait_until([&] { return server().metric("sparsefusion_queue_depth") == 0; }, 10));
  }
  engine().release_steps();
  EXPECT_EQ(running->finish().end, End::kAnswered);
  EXPECT_EQ(engine().num_admitted(), admitted);
}

// The engine is stuck, so only the frontend can keep the promise.
TEST_F(LeavingTest, ADeadlineIsKeptOnEveryApiWhateverTheEngineDoes) {
  options_.max_batch = 1;
  start();
  engine().hold_steps();
  auto running = begin(Api::kRest, {.question = "running"});
  engine().wait_until_blocked();
  for (const Api api : kAllApis) {
    SCOPED_TRACE(name_of(api));
    const Outcome outcome = begin(api, {.timeout_ms = 60})->finish();
    EXPECT_EQ(outcome.end, End::kDeadline) << outcome.text;
  }
  engine().release_steps();
  EXPECT_EQ(running->finish().end, End::kAnswered);
  EXPECT_TRUE(wait_until([&] { return num_in_flight() == 0; }));
}

TEST_F(LeavingTest, ADeadlinePassesWhilePrefillingAndWhileDecodingOnEveryApi) {
  start();
  for (const int steps_before : {0, 3}) {
    for (const Api api : kAllApis) {
      SCOPED_TRACE(concat(name_of(api), " after ", steps_before, " steps"));
      engine().hold_steps();
      auto call = begin(api, {.question = std::string(300, 'x'), .timeout_ms = 300});
      ASSERT_TRUE(wait_until([&] { return engine().num_sequences() == 1; }, 5));
      engine().allow_steps(steps_before);
      const Outcome outcome = call->finish();
      EXPECT_EQ(outcome.end, End::kDeadline) << outcome.text;
      EXPECT_LE(steps_until_free(), 2);
      engine().release_steps();
    }
  }
}

TEST_F(LeavingTest, ADeadlinePassesWhileImagesAreDecodedOnEveryApi) {
  options_.decode_threads = 1;
  start({.prepare_seconds = 0.15});
  for (const Api api : kAllApis) {
    SCOPED_TRACE(name_of(api));
    auto first = begin(Api::kRest, {});  // takes the only decoder
    ASSERT_TRUE(wait_until([&] { return server().metric("sparsefusion_requests_inflight{state=\"preparing\"") == 1; }));
    const int admitted = engine().num_admitted();
    const Outcome outcome = begin(api, {.timeout_ms = 40})->finish();
    EXPECT_EQ(outcome.end, End::kDeadline) << outcome.text;
    EXPECT_EQ(first->finish().end, End::kAnswered);
    EXPECT_EQ(engine().num_admitted(), admitted + 1) << "the late one was computed";
  }
}

// gRPC's own pools, the client's in this process too, grow by a few threads on a busy machine and keep them.
constexpr int kPoolThreads = 8;

// SF_LONG_TESTS: 1000 of them.
TEST_F(LeavingTest, HangUpsAtRandomLeaveNothingBehind) {
  start({.step_seconds = 0.001, .keep_plans = false});
  const int num_calls = is_long() ? 1000 : 100, num_clients = 8;
  std::atomic<int> num_left{0}, num_finished{0};
  const auto work = [&](unsigned seed, int count) {
    std::mt19937 random(seed);
    for (int i = 0; i < count; ++i) {
      const Api api = kAllApis[random() % std::size(kAllApis)];
      auto call = begin(api, {.question = std::string(1 + random() % 200, 'x')});
      if (random() % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
      if (is_stream(api) && random() % 2 == 0) call->wait_for_text();
      if (random() % 10 == 0) {
        call->finish();
        ++num_finished;
      } else {
        call->hang_up();
        ++num_left;
      }
    }
  };
  const auto storm = [&](int count) {
    std::vector<std::thread> clients;
    for (int i = 0; i < num_clients; ++i) clients.emplace_back(work, 40u + static_cast<unsigned>(i), count);
    for (std::thread& client : clients) client.join();
    EXPECT_TRUE(wait_until([&] { return engine().num_sequences() == 0 && num_in_flight() == 0; }));
  };
  storm(num_calls / num_clients);  // what the libraries open once, and the threads that such a load makes them start
  const int threads = count_threads(), files = count_open_files();
  const double memory_mib = resident_mib();
  storm(num_calls / num_clients);
  // gRPC's idle threads go after ten seconds, kept connections after two.
  EXPECT_TRUE(wait_until([&] { return count_open_files() <= files; }))
      << count_open_files() << " files, before: " << files;
  EXPECT_TRUE(wait_until([&] { return count_threads() <= threads + kPoolThreads; }))
      << count_threads() << " threads, before: " << threads;
  EXPECT_TRUE(server().app().wait_idle(10));
  EXPECT_LT(kMemoryIsGivenBack ? resident_mib() - memory_mib : 0, 64);
  EXPECT_EQ(begin(Api::kRest, {})->finish().end, End::kAnswered);
  std::printf("%d hung up, %d read to the end; threads %d -> %d, files %d -> %d, %.0f -> %.0f MiB\n", num_left.load(),
              num_finished.load(), threads, count_threads(), files, count_open_files(), memory_mib, resident_mib());
}

}  // namespace
}  // namespace sf::server
