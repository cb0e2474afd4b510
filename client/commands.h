// The commands of the `sparsefusion` program: each prints to `out` and returns the exit status.
//
//   const std::unique_ptr<Client> client = connect(connection);
//   return run_ask(*client, {.image_path = "scene.png", .question = question, .json = true}, std::cout);
//
// Thread-safe: free functions. Two commands may share a client, but not a stream.
#pragma once

#include <functional>
#include <ostream>
#include <string>

#include "client/client.h"

namespace sf::client {

struct Connection {
  std::string url = "http://127.0.0.1:8000";
  std::string grpc_target = {};  // host:port; empty: REST
  int timeout_ms = 120000;
  std::string api_key = {};
  int num_retries = 0;  // where the server is full or away (client/retry.h)
  // TLS over gRPC if any is set, over REST with an https:// URL (ConnectOptions).
  bool tls = false;
  std::string ca_file = {}, cert_file = {}, key_file = {};
  bool uses_tls() const { return tls || !ca_file.empty() || !cert_file.empty(); }
};

std::unique_ptr<Client> connect(const Connection& connection);

struct AskCommand {
  std::string image_path;  // "-" = standard input
  Question question;
  bool json = false;
  bool stream = false;
};
int run_ask(Client& client, AskCommand command, std::ostream& out);

// The answer, then a line for each of its tokens: its probability, where in the image it looks, its experts by layer.
struct ExplainCommand {
  std::string image_path;  // "-" = standard input
  ExplainQuestion question;
  std::string output_path;  // where the image under its heatmap goes, as a PNG; empty: nowhere
};
// Errors: beside the server's, ClientError INTERNAL if the file cannot be written.
int run_explain(Client& client, ExplainCommand command, std::ostream& out);

// One line a model, or the server's objects as JSON.
int run_models(Client& client, bool json, std::ostream& out);
// A table of versions, or one JSON object a line.
int run_versions(Client& client, bool json, std::ostream& out);
// Gives the server the command, then prints the version that serves.
int run_reload(Client& client, VersionCommand command, int64_t version, std::ostream& out);

// The experts' load: one line an expert. With `watch_s` above 0 again and again, each table with the tokens since the
// one before, until `keep_going`, which is called between two tables and waits for that time, returns false.
struct ExpertsCommand {
  bool json = false;
  double watch_s = 0;
};
int run_experts(Client& client, const ExpertsCommand& command, std::ostream& out,
                const std::function<bool(double seconds)>& keep_going);

// 0 if healthy, else 1.
int run_health(Client& client, bool ready, std::ostream& out);

}  // namespace sf::client
