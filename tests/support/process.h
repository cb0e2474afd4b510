// A program of ours as a child process: started, watched, stopped, whatever a test does. Children die with the test.
//
//   Process server({binary("sparsefusion-server"), "--model", store}, folder / "server");
//   wait_until([&] { return fs::exists(port_file); });
//   server.signal(SIGTERM);  EXPECT_EQ(server.wait(), 0);
//
// One thread only; a process lives no longer than the thread that started it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace sf::test {

// The path of a program built beside the tests.
std::string binary(const std::string& name);

class Process {
 public:
  // Effect: starts it; output goes to `log_stem`.out and .err. REQUIRES: arguments[0] is a path.
  Process(std::vector<std::string> arguments, const std::filesystem::path& log_stem);
  ~Process();  // SIGKILL if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Blocks; the exit status, or 128 + the signal that ended it; kills it and gives -1 after `timeout_s`.
  int wait(double timeout_s = 120);
  bool running();
  std::string output() const;
  std::string error_output() const;

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  const std::string out_, err_;
};

// Effect: runs it to its end and returns its exit status.
int run(const std::vector<std::string>& arguments, const std::filesystem::path& log_stem);

// Effect: asks every 10 ms until `condition` holds; false after `timeout_s`.
bool wait_until(const std::function<bool()>& condition, double timeout_s = 60);

// A new empty folder for this test process, removed with all that is in it at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sf::test
