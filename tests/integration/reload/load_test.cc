// Reload after reload under a constant load, on the bundled model: what clients get, how long they wait for it, and
// what is left in memory. SF_LONG_TESTS makes it 200 reloads and gates the times too.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>

#include "engine/base/error.h"
#include "tests/integration/live_server.h"
#include "tests/integration/reload/demo_versions.h"
#include "tests/integration/reload/measured_load.h"
#include "tests/support/sanitizers.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

constexpr int kSegments = 5;                   // with reloads, and as many without, in turn
constexpr double kMaxTtftRatio = 1.2;          // of the medians over segments of the p99
constexpr double kMaxSteadySeconds = 20;       // of a segment without reloads
constexpr int64_t kMaxGrowthBytes = 32 << 20;  // of the server's resident memory
constexpr int kFloorReloads = 5;
constexpr int kWarmUpReloads = 10;  // until every allocator has what it needs

// Under AddressSanitizer a reload takes 20 s, and what is freed is kept for a while: memory says nothing there.
constexpr bool kUnderAsan = kHasAddressSanitizer;

bool is_long() { return std::getenv("SF_LONG_TESTS") != nullptr; }

// Images are computed anew for every request, in steady state as after a reload: what is compared is the reload.
const Strings kFlags = {"--no-prefix-cache"};

int64_t resident_bytes(pid_t pid) {
  std::ifstream pages(concat("/proc/", pid, "/statm"));
  int64_t total = 0, resident = 0;
  pages >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// A version weighs 12 MiB, its file and its tensors. Over few reloads the allocator's arenas still fill: only a part of
// a version is allowed for each; over many nothing but a fixed amount is.
bool memory_is_bounded(int64_t growth_bytes, int reloads) {
  constexpr int64_t kPerReloadBytes = 4 << 20;
  return growth_bytes <= (is_long() ? kMaxGrowthBytes : reloads * kPerReloadBytes);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// Odd versions are the model as it is, even ones its twin.
Demo demo_of(int64_t version) { return version % 2 == 1 ? Demo::kPlain : Demo::kSwapped; }

class ReloadLoadTest : public testing::Test {
 protected:
  // Effect: does a trainer's work for the next versions. What is measured is the server: hashing and writing 6 MB a
  // reload on the same two cores, at the priority of those who ask, is not its doing.
  void write_ahead(int count) {
    if (written_ >= version_ + count) return;
    while (written_ < version_ + count) {
      ++written_;
      store_.write_out_of_sight(written_, demo_of(written_));
    }
    ::sync();
  }
  // Effect: publishes the next version and waits until it serves; false if it does not.
  bool reload(const LiveServer& server) {
    write_ahead(1);
    store_.show(++version_);
    const bool served = wait_until([&] { return server.version() == version_; });
    // As a trainer with --keep 2: the folder must not fill up.
    std::error_code ignored;
    if (version_ > 2) fs::remove_all(store_.root() / std::to_string(version_ - 2), ignored);
    return served;
  }
  // The least that the server holds over a few reloads, each time once only one version is left: a version that has
  // answered for a while has touched more of its cache, and arenas come and go, which is no growth.
  int64_t floor_bytes(LiveServer& server) {
    if (kUnderAsan) return 0;
    int64_t least = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < kFloorReloads; ++i) {
      EXPECT_TRUE(reload(server)) << server.log();
      wait_until([&] { return server.metric("sparsefusion_model_versions_live") == 1; }, 5);  // for nothing if it leaks
      least = std::min(least, resident_bytes(server.process().pid()));
    }
    return least;
  }
  // What a stream broke, in words.
  Strings judge(const std::vector<StreamRecord>& streams) {
    Strings broken;
    for (const StreamRecord& stream : streams) {
      if (!stream.failure.empty()) {
        broken.push_back(stream.failure);
      } else if (stream.num_ends != 1) {
        broken.push_back(concat(stream.num_ends, " terminal events"));
      } else if (stream.versions.size() != 1) {
        broken.push_back(concat("events of ", stream.versions.size(), " versions in one stream"));
      } else if (const int64_t version = *stream.versions.begin(); stream.text != answer_of(stream.question, version)) {
        broken.push_back(concat("not the answer of version ", version, ": ", stream.text));
      } else {
        versions_.insert(version);
      }
    }
    return broken;
  }
  // Asked of the server before the load began.
  std::string answer_of(const std::string& question, int64_t version) const {
    const std::string& plain = plain_answers_.at(question);
    return demo_of(version) == Demo::kPlain ? plain : swap_shapes(plain);
  }
  void learn_answers(const LiveServer& server) {
    for (const std::string question : {"what shape is the red object?", "describe the picture"}) {
      client::Question asked = scene_question(256);
      asked.question = question;
      plain_answers_[question] = server.grpc()->ask(asked).answer;
      ASSERT_NE(swap_shapes(plain_answers_[question]), plain_answers_[question]) << "says nothing of its version";
    }
  }
  // Of all reloads so far, the mean of each stage in words.
  static std::string stage_times(const LiveServer& server) {
    std::string words = "a reload's stages, mean ms:";
    for (const std::string stage : {"verify", "load", "warmup", "canary", "publish"}) {
      const auto of = [&](const std::string& what) {
        return server.metric(concat("sparsefusion_model_reload_seconds_", what, "{stage=\"", stage, "\"}"));
      };
      words += concat(" ", stage, " ", 1e3 * of("sum") / of("count"));
    }
    return words + "\n";
  }
  // Effect: waits `seconds` without a reload, but with the same questions about the served version.
  void stand_still(const LiveServer& server, double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    wait_until([&] { return server.version() != version_ || std::chrono::steady_clock::now() > end; }, seconds + 60);
  }

  ScratchFolder folder_{"reload_load"};
  const DemoStore store_{folder_.path() / "store"};
  int64_t version_ = 1, written_ = 1;
  std::map<std::string, std::string> plain_answers_;
  std::set<int64_t> versions_;
};

TEST_F(ReloadLoadTest, EveryStreamIsWholeAndOfOneVersionAndNobodyWaitsLonger) {
  LiveServer server(folder_.path(), store_.root(), kFlags);
  learn_answers(server);
  // Less load in the quick form: a reload waits for gaps between requests.
  MeasuredLoad load(server.http_port(), {.interval_s = is_long() ? 0.08 : 0.2});
  const int reloads = is_long() ? 200 : kUnderAsan ? kSegments : 20;
  const int warm_up = is_long() ? kWarmUpReloads : kUnderAsan ? 0 : 4;
  for (int i = 0; i < warm_up; ++i) ASSERT_TRUE(reload(server)) << server.log();
  EXPECT_EQ(judge(load.take()), Strings{});
  const int64_t before = floor_bytes(server);
  std::vector<double> steady, reloading;
  size_t streams = 0;
  for (int segment = 0; segment < kSegments; ++segment) {
    write_ahead(reloads / kSegments);
    EXPECT_EQ(judge(load.take()), Strings{});
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < reloads / kSegments; ++i) ASSERT_TRUE(reload(server)) << server.log();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const std::vector<StreamRecord> during = load.take();
    stand_still(server,
                std::min(took.count(), is_long() ? kMaxSteadySeconds : 2.0));  // where times count, about as long
    const std::vector<StreamRecord> still = load.take();
    EXPECT_EQ(judge(during), Strings{});
    EXPECT_EQ(judge(still), Strings{});
    streams += during.size() + still.size();
    reloading.push_back(ttft_quantile(during, 0.99));
    steady.push_back(ttft_quantile(still, 0.99));
    std::cout << concat("segment ", segment + 1, ": ", reloads / kSegments, " reloads in ", took.count(),
                        " s; p99 TTFT ", 1e3 * reloading.back(), " ms of ", during.size(), " streams, without ",
                        1e3 * steady.back(), " ms of ", still.size(), "; p50 ", 1e3 * ttft_quantile(during, 0.5),
                        " and ", 1e3 * ttft_quantile(still, 0.5), " ms\n")
              << std::flush;
  }
  std::cout << stage_times(server) << std::flush;
  const int64_t growth = floor_bytes(server) - before;
  load.stop();
  const double ratio = median(reloading) / median(steady);
  std::cout << concat(streams, " streams over ", reloads, " reloads: p99 TTFT ", ratio,
                      " x steady state; memory grew by ", static_cast<double>(growth) / (1 << 20), " MiB\n");
  EXPECT_EQ(judge(load.take()), Strings{});
  EXPECT_GT(versions_.size(), static_cast<size_t>(reloads) / 2) << "too few versions were asked for the rest to count";
  if (!kUnderAsan) {
    EXPECT_TRUE(memory_is_bounded(growth, reloads)) << growth;
  }
  if (is_long()) {
    EXPECT_LE(ratio, kMaxTtftRatio);
  }
  EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"success\""), version_);
  EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"failure\""), 0);
  EXPECT_TRUE(wait_until([&] { return server.metric("sparsefusion_model_versions_live") == 1; }));
  EXPECT_TRUE(wait_until([&] { return server.metric("sparsefusion_requests_inflight") == 0; }));
}

// The measure of memory is worth something only if it sees a leak.
TEST_F(ReloadLoadTest, AServerThatKeepsOldVersionsIsFoundOut) {
  if (kUnderAsan) GTEST_SKIP() << "what is freed stays in memory there";
  LiveServer server(folder_.path(), store_.root(), kFlags, "leaking-server");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(reload(server)) << server.log();
  const int64_t before = floor_bytes(server);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(reload(server)) << server.log();
  const int64_t growth = floor_bytes(server) - before;
  std::cout << concat("10 reloads that leak: memory grew by ", static_cast<double>(growth) / (1 << 20), " MiB\n");
  EXPECT_FALSE(memory_is_bounded(growth, 10)) << growth;
}

TEST_F(ReloadLoadTest, APromptAfterAReloadIsAnsweredAsByAColdServer) {
  LiveServer warm(folder_.path(), store_.root());  // with the prefix cache
  learn_answers(warm);
  for (int i = 0; i < 3; ++i) warm.grpc()->ask(scene_question());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(reload(warm)) << warm.log();
    const LiveServer cold(folder_.path() / "cold", store_.root());
    for (const int repetition : {0, 1}) {
      for (const auto& [question, plain] : plain_answers_) {
        client::Question asked = scene_question(256);
        asked.question = question;
        const client::Answer a = warm.grpc()->ask(asked), b = cold.grpc()->ask(asked);
        EXPECT_EQ(a.answer, answer_of(question, version_)) << plain;
        EXPECT_EQ(a.answer, b.answer);
        EXPECT_EQ(a.model_version, b.model_version);
        EXPECT_EQ(a.cached_tokens, b.cached_tokens) << repetition;
        EXPECT_EQ(a.assigned_tokens, b.assigned_tokens);
        EXPECT_EQ(a.overflow_tokens, b.overflow_tokens);
      }
    }
  }
}

}  // namespace
}  // namespace sf::test
