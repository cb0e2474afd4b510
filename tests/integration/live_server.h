// The real server as a child process, and the toy model that it serves.
//
//   ScratchFolder folder("name");
//   LiveServer server(folder.path(), copy_toy_store(folder.path()));
//   Answer answer = server.grpc()->ask(scene_question());
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/client.h"
#include "tests/support/process.h"

namespace sf::test {

// Effect: a fresh copy below `folder` of a store with one version in it, trained once for all tests by
// sparsefusion-train; returns its path.
std::filesystem::path copy_toy_store(const std::filesystem::path& folder);

struct Training {
  int steps = 12;  // the toy store's version stands at 6
  std::string publish = "all";
};

// Effect: sparsefusion-train goes on from the store's last version and evaluates, hence publishes, every second step.
// Blocks; returns its exit status. Its messages lie in `folder`/train.err.
int train_on(const std::filesystem::path& store, const Training& training, const std::filesystem::path& folder);

class LiveServer {
 public:
  // Effect: starts it on free ports and waits until it has written them. Errors: std::runtime_error with its last
  // words.
  LiveServer(const std::filesystem::path& folder, const std::filesystem::path& model,
             const std::vector<std::string>& more_flags = {}, const std::string& program = "sparsefusion-server");

  int http_port() const { return http_port_; }
  int grpc_port() const { return grpc_port_; }
  int admin_port() const { return admin_port_; }
  std::string grpc_target() const { return std::string("127.0.0.1:").append(std::to_string(grpc_port_)); }
  std::unique_ptr<client::Client> rest() const;
  std::unique_ptr<client::Client> grpc() const;
  std::unique_ptr<client::Client> admin() const;  // REST on the management port
  std::string metrics() const;
  // The sum of all samples whose line starts with `prefix`.
  double metric(const std::string& prefix) const;
  // The version that /v1/models names; 0 for none.
  int64_t version() const;
  int64_t num_open_files() const;
  // The log so far: a JSON object a line.
  std::string log() const { return process_->error_output(); }
  Process& process() { return *process_; }

 private:
  std::unique_ptr<Process> process_;
  int http_port_ = 0, grpc_port_ = 0, admin_port_ = 0;
};

// The image and question that most tests ask.
client::Question scene_question(int max_tokens = 16);

// One whose answer is drawn almost evenly from all words, so that it goes on for hundreds of tokens.
client::Question long_question(uint64_t seed);

}  // namespace sf::test
