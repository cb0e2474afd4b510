#include "tests/integration/live_server.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "engine/base/file.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

// Half of all that a seldom-evaluated toy costs would be its evaluation: two images are enough to publish.
const std::vector<std::string> kToyTraining = {"--batch-size", "4", "--evaluation-pictures", "2", "--threads", "1"};

int train(std::vector<std::string> flags, const fs::path& log_stem) {
  flags.insert(flags.begin(), binary("sparsefusion-train"));
  flags.insert(flags.end(), kToyTraining.begin(), kToyTraining.end());
  return run(flags, log_stem);
}

// Trained where it is first asked for.
class ToyStore {
 public:
  ToyStore() : folder_("toy") {
    const int status = train({"--model", "toy", "--out", store().string(), "--vit-steps", "2", "--vit-batch-size", "4",
                              "--steps", "6", "--evaluate-every", "6", "--publish", "all"},
                             folder_.path() / "train");
    if (status != 0) throw std::runtime_error("no toy: " + read_file(folder_.path() / "train.err", 1 << 20));
  }
  fs::path store() const { return folder_.path() / "store"; }

 private:
  ScratchFolder folder_;
};

}  // namespace

fs::path copy_toy_store(const fs::path& folder) {
  static const ToyStore toy;
  fs::create_directories(folder);
  fs::copy(toy.store(), folder / "store", fs::copy_options::recursive);
  return folder / "store";
}

int train_on(const fs::path& store, const Training& training, const fs::path& folder) {
  return train({"--out", store.string(), "--resume", "--steps", std::to_string(training.steps), "--evaluate-every", "2",
                "--publish", training.publish, "--keep", "2"},
               folder / "train");
}

LiveServer::LiveServer(const fs::path& folder, const fs::path& model, const std::vector<std::string>& more_flags,
                       const std::string& program) {
  fs::create_directories(folder);
  const fs::path ports = folder / "ports.json";
  fs::remove(ports);  // of a server before this one
  std::vector<std::string> arguments = {binary(program),
                                        "--model",
                                        model.string(),
                                        "--http-port",
                                        "0",
                                        "--grpc-port",
                                        "0",
                                        "--admin-port",
                                        "0",
                                        "--port-file",
                                        ports.string(),
                                        "--poll-interval-ms",
                                        "20"};
  if (std::find(more_flags.begin(), more_flags.end(), "--threads") == more_flags.end()) {
    arguments.insert(arguments.end(), {"--threads", "1"});
  }
  arguments.insert(arguments.end(), more_flags.begin(), more_flags.end());
  process_ = std::make_unique<Process>(arguments, folder / "server");
  wait_until([&] { return !process_->running() || fs::exists(ports); });
  if (!fs::exists(ports)) throw std::runtime_error("the server did not start: " + log());
  const nlohmann::json bound = nlohmann::json::parse(read_file(ports, 1 << 16));
  http_port_ = bound.at("http");
  grpc_port_ = bound.at("grpc");
  admin_port_ = bound.at("admin");
}

std::unique_ptr<client::Client> LiveServer::rest() const {
  return client::make_http_client("http://127.0.0.1:" + std::to_string(http_port_));
}

std::unique_ptr<client::Client> LiveServer::grpc() const {
  return client::make_grpc_client("127.0.0.1:" + std::to_string(grpc_port_));
}

std::unique_ptr<client::Client> LiveServer::admin() const {
  return client::make_http_client("http://127.0.0.1:" + std::to_string(admin_port_));
}

std::string LiveServer::metrics() const {
  httplib::Client client("127.0.0.1", http_port_);
  const auto response = client.Get("/metrics");
  return response ? response->body : "";
}

double LiveServer::metric(const std::string& prefix) const {
  std::istringstream lines(metrics());
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(prefix, 0) == 0) sum += std::stod(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

int64_t LiveServer::version() const {
  const auto models = rest()->models();
  return models.empty() ? 0 : models[0].version;
}

int64_t LiveServer::num_open_files() const {
  const fs::path files = "/proc/" + std::to_string(process_->pid()) + "/fd";
  return std::distance(fs::directory_iterator(files), fs::directory_iterator());
}

client::Question scene_question(int max_tokens) {
  client::Question question;
  question.image = read_file(fs::path(test::source_dir()) / "examples/scene.png", 1 << 20);
  question.question = "what shape is the red object?";
  question.max_tokens = max_tokens;
  return question;
}

client::Question long_question(uint64_t seed) {
  client::Question question = scene_question(400);
  question.temperature = 2;
  question.seed = seed;
  return question;
}

}  // namespace sf::test
