#include "tests/support/process.h"
#include "tests/support/paths.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace sf::test {
namespace {

namespace fs = std::filesystem;

// In the child, where only what is async-signal-safe may be called: other threads of the test may hold any lock.
void redirect(int fd, const char* path) {
  const int file = ::open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  if (file >= 0) ::dup2(file, fd);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::string binary(const std::string& name) { return test::binary_dir() + "/bin/" + name; }

Process::Process(std::vector<std::string> arguments, const fs::path& log_stem)
    : out_(log_stem.string() + ".out"), err_(log_stem.string() + ".err") {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    redirect(STDOUT_FILENO, out_.c_str());
    redirect(STDERR_FILENO, err_.c_str());
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

Process::~Process() {
  if (running()) {
    signal(SIGKILL);
    wait();
  }
}

void Process::signal(int number) const { ::kill(pid_, number); }

bool Process::running() {
  if (reaped_) return false;
  if (::waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

int Process::wait(double timeout_s) {
  if (!wait_until([this] { return !running(); }, timeout_s)) {
    signal(SIGKILL);
    ::waitpid(pid_, &status_, 0);
    reaped_ = true;
    return -1;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

std::string Process::output() const { return text_of(out_); }
std::string Process::error_output() const { return text_of(err_); }

int run(const std::vector<std::string>& arguments, const fs::path& log_stem) {
  return Process(arguments, log_stem).wait(300);
}

bool wait_until(const std::function<bool()>& condition, double timeout_s) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

ScratchFolder::ScratchFolder(const std::string& name)
    : path_(fs::temp_directory_path() / ("sparsefusion-" + name + "-" + std::to_string(::getpid()))) {
  fs::remove_all(path_);
  fs::create_directories(path_);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;  // a folder that stays behind fails no test
  fs::remove_all(path_, ignored);
}

}  // namespace sf::test
