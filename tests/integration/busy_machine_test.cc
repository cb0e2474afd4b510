// A server beside other work on the same processors. The times are gated in the long form only (SF_LONG_TESTS).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>

#include "engine/base/file.h"
#include "engine/base/usable_processors.h"
#include "tests/integration/live_server.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string proc_file(pid_t pid, const char* name) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// So many children that do nothing but count, at the same nice level as the tests.
class BusyLoops {
 public:
  explicit BusyLoops(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        for (volatile uint64_t n = 0;; n = n + 1) {
        }
      }
      children_.push_back(child);
    }
  }
  ~BusyLoops() {
    for (const pid_t child : children_) ::kill(child, SIGKILL);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  }
  BusyLoops(const BusyLoops&) = delete;
  BusyLoops& operator=(const BusyLoops&) = delete;

 private:
  std::vector<pid_t> children_;
};

class BusyMachineTest : public testing::Test {
 protected:
  struct Measured {
    double ready_s = 0, p50_ms = 0;
  };
  // Threads by default; LiveServer's other flags are ports.
  Measured measure(const char* name) {
    const double began_s = seconds_now();
    LiveServer server(folder_.path() / name, demo_, {"--threads", "0"});
    Measured measured;
    measured.ready_s = seconds_now() - began_s;
    const auto client = server.rest();
    std::vector<double> times_ms;
    for (int i = 0; i < 40; ++i) {
      client::Question question = scene_question();
      question.question += std::string(static_cast<size_t>(i), ' ');
      const double asked_s = seconds_now();
      client->ask(question);
      times_ms.push_back((seconds_now() - asked_s) * 1000);
    }
    std::nth_element(times_ms.begin(), times_ms.begin() + 20, times_ms.end());
    measured.p50_ms = times_ms[20];
    return measured;
  }

  ScratchFolder folder_{"busy"};
  const fs::path demo_ = fs::path(source_dir()) / "models/demo";
};

TEST_F(BusyMachineTest, TheServersThreadsDoNotSpin) {
  LiveServer server(folder_.path(), copy_toy_store(folder_.path()), {"--model-name", "a name with spaces"});
  const pid_t pid = server.process().pid();
  const std::string environment = std::string(1, '\0') + proc_file(pid, "environ");
  EXPECT_NE(environment.find(std::string("\0OMP_WAIT_POLICY=PASSIVE\0", 25)), std::string::npos);
  const std::string arguments = proc_file(pid, "cmdline");
  EXPECT_TRUE(arguments.starts_with(binary("sparsefusion-server"))) << arguments;
  EXPECT_NE(arguments.find(std::string("--model-name\0a name with spaces\0", 32)), std::string::npos);
  EXPECT_EQ(proc_file(pid, "comm"), "sparsefusion-se\n") << "what ps and pgrep show";
  server.process().signal(SIGTERM);
  EXPECT_EQ(server.process().wait(), 0) << "signals reach the program that was started again";
}

// libgomp would take as long for a start as the other work lasts.
TEST_F(BusyMachineTest, BesideBusyLoopsTheServerIsSlowerInProportionOnly) {
  if (!std::getenv("SF_LONG_TESTS")) GTEST_SKIP() << "SF_LONG_TESTS is not set";
  const int processors = usable_processors();
  const Measured idle = measure("idle");
  const BusyLoops loops(processors);
  const Measured busy = measure("busy");
  std::cout << processors << " processors; idle: ready in " << idle.ready_s << " s, p50 " << idle.p50_ms
            << " ms; beside as many busy loops: ready in " << busy.ready_s << " s, p50 " << busy.p50_ms << " ms\n";
  EXPECT_LE(busy.ready_s, 5);
  EXPECT_LE(busy.p50_ms, 4 * idle.p50_ms);
}

}  // namespace
}  // namespace sf::test
