// A client of SparseFusion, over gRPC or REST: the same calls, the same results.
//
//   std::unique_ptr<Client> client = make_grpc_client("127.0.0.1:8001");
//   Answer answer = client->ask({.image = bytes, .question = "what shape is the red object?"});
//   client->ask_stream(question, [](std::string_view delta) { std::cout << delta; return true; });
//
// Thread-safe: several threads may ask one client at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sf::client {

// `code` is gRPC's name on both transports ("RESOURCE_EXHAUSTED"); `http_status` is 0 over gRPC; `retry_after_ms` is
// what the server asked to wait (Retry-After, RetryInfo), if it did.
class ClientError : public std::runtime_error {
 public:
  ClientError(std::string code, const std::string& message, int http_status = 0,
              std::optional<int64_t> retry_after_ms = {})
      : std::runtime_error(message),
        code_(std::move(code)),
        http_status_(http_status),
        retry_after_ms_(retry_after_ms) {}
  const std::string& code() const { return code_; }
  int http_status() const { return http_status_; }
  std::optional<int64_t> retry_after_ms() const { return retry_after_ms_; }

 private:
  std::string code_;
  int http_status_;
  std::optional<int64_t> retry_after_ms_;
};

// What is absent is the server's default.
struct Question {
  std::string image = {};  // encoded PNG, JPEG or WebP
  std::string question = {};
  std::optional<int> max_tokens = {}, top_k = {};
  std::optional<float> temperature = {}, top_p = {};
  std::optional<uint64_t> seed = {};
  std::vector<std::string> stop = {};
  std::vector<std::string> choices = {};   // the answer is one of these; empty: any answer
  bool batch = false;                      // waits while interactive requests wait
  std::optional<int64_t> timeout_ms = {};  // the server's deadline; the client gives up a second later
  std::string model = {};
  std::string request_id = {};  // empty: the server makes one
};

struct Answer {
  std::string id = {}, answer = {}, model = {}, finish_reason = {};
  int64_t model_version = 0;
  int image_tokens = 0, prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  uint64_t assigned_tokens = 0, overflow_tokens = 0;
  double queue_ms = 0, image_ms = 0, prefill_ms = 0, decode_ms = 0, total_ms = 0;
  struct Choice {
    std::string text;
    double probability = 0;
  };
  std::vector<Choice> choices = {};  // of a question with choices, in its order
};

// What an answer is explained with; what is absent is the server's default.
struct ExplainQuestion {
  Question question = {};   // without stop and choices
  std::string method = {};  // attention, rollout, relevancy or occlusion
  std::optional<int> layer = {}, head = {}, lens_top = {};
  std::optional<int> token = {};  // of the image: this answer token's heatmap; absent: the mean of all
  bool image = false;
};

struct Explained {
  std::string id = {}, answer = {}, model = {}, method = {};
  int64_t model_version = 0;
  int image_width = 0, image_height = 0, rows = 0, columns = 0;  // pixels; image tokens
  struct Token {
    std::string text = {};
    double logprob = 0;
    int cell = 0;                                // of the grid, where the heatmap is highest; row-major
    std::vector<std::vector<int>> experts = {};  // by layer, by falling gate; none where the token was never computed
  };
  std::vector<Token> tokens = {};  // of the answer
  std::string png = {};            // if an image was asked for
};

struct Model {
  std::string id;
  int64_t version = 0;
  std::string json;  // all that the server says of it
};

struct ModelVersion {
  int64_t version = 0;
  std::string state = {};   // served, loading, available, quarantined or retired
  std::string reason = {};  // why it is quarantined
  std::string message = {};
  bool pinned = false;
  int64_t step = 0;
  std::string digest = {};
  std::optional<double> score = {};
};

// Tokens since the version was loaded.
struct ExpertRow {
  int layer = 0, expert = 0;
  double image_tokens = 0, text_tokens = 0, gate_mass = 0, overflow_tokens = 0;
};
struct ExpertWindow {
  int layer = 0;
  double entropy_nats = 0, imbalance = 0;
  int dead_experts = 0;
  std::optional<double> drift_js = {};
};
struct ExpertTable {
  int64_t model_version = 0;
  std::vector<ExpertRow> rows = {};        // by layer, then by expert
  std::vector<ExpertWindow> windows = {};  // of the layers that have seen enough tokens
};

enum class VersionCommand { kLoad, kPin, kUnpin, kRollback };

// Every call throws ClientError.
class Client {
 public:
  virtual ~Client() = default;
  // Blocks until the whole answer is there.
  virtual Answer ask(const Question& question) = 0;
  // Calls `on_delta` for each piece of text as it arrives; false from it cancels the call (then ClientError CANCELLED).
  using OnDelta = std::function<bool(std::string_view delta)>;
  virtual Answer ask_stream(const Question& question, const OnDelta& on_delta) = 0;
  // Blocks while the server explains: much longer than an answer takes. Over REST an image is a call of its own.
  virtual Explained explain(const ExplainQuestion& question) = 0;
  // Whether the server lives, or whether it is ready to answer. False also where nothing listens.
  virtual bool is_healthy(bool ready) = 0;
  // Errors: UNIMPLEMENTED over gRPC, which has no list of models.
  virtual std::vector<Model> models() = 0;
  virtual std::vector<ModelVersion> versions() = 0;
  virtual ExpertTable experts() = 0;
  // Effect: gives the server a command, and blocks until it is done; `version` is 0 for a pin of the served one, kUnpin
  // and kRollback. Returns the version that serves then. Over REST the management port takes commands; the public ones
  // only with a key of scope admin.
  virtual int64_t tell(VersionCommand command, int64_t version) = 0;
};

struct ConnectOptions {
  int connect_timeout_ms = 5000;
  int read_timeout_ms =
      120000;                // over REST between two reads, over gRPC of a whole call; for questions without timeout_ms
  std::string api_key = {};  // empty: none is sent
  // --- TLS: over REST with an https:// URL, over gRPC with `tls` ---
  bool tls = false;
  std::string ca_file = {};                   // PEM; empty: the system's certificates
  std::string cert_file = {}, key_file = {};  // PEM, of a server that asks its clients for a certificate
};

// Errors: ClientError NOT_FOUND or INVALID_ARGUMENT, naming the path. "-" is standard input.
std::string read_file(const std::string& path);

// `target` is host:port. Errors: those of read_file for the TLS files.
std::unique_ptr<Client> make_grpc_client(const std::string& target, const ConnectOptions& options = {});
// `url` is http://host:port. Errors: INVALID_ARGUMENT if it is not.
std::unique_ptr<Client> make_http_client(const std::string& url, const ConnectOptions& options = {});

// The answer object of POST /v1/answer.
std::string to_json(const Answer& answer);

}  // namespace sf::client
