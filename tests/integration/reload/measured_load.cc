#include "tests/integration/reload/measured_load.h"

#include <httplib.h>

#include <csignal>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "client/event_lines.h"
#include "engine/base/base64.h"
#include "engine/base/file.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

using Clock = std::chrono::steady_clock;

// The first answers in a word, the second in a sentence: both name shapes.
const char* const kQuestions[] = {"what shape is the red object?", "describe the picture"};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string request_body(const std::string& question) {
  const std::string image = read_file(std::filesystem::path(test::source_dir()) / "examples/scene.png", 1 << 20);
  const nlohmann::json url = {{"url", "data:image/png;base64," + encode_base64(image)}};
  const nlohmann::json content = {{{"type", "image_url"}, {"image_url", url}}, {{"type", "text"}, {"text", question}}};
  return nlohmann::json{{"stream", true}, {"messages", {{{"role", "user"}, {"content", content}}}}}.dump();
}

// One stream as it comes in.
class Reader {
 public:
  Reader(std::string question, Clock::time_point begin) : begin_(begin) { record.question = std::move(question); }

  void on_event(const std::string& data) {
    if (done_) return fail("an event after the end: " + data);
    if (data == "[DONE]") {
      done_ = true;
      return;
    }
    const auto event = nlohmann::json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object() || !event.contains("choices")) return fail(data);
    record.versions.insert(event.value("model_version", int64_t{0}));
    for (const auto& choice : event["choices"]) on_choice(choice);
  }
  void finish(const httplib::Result& result) {
    if (!result) return fail("the connection broke: " + httplib::to_string(result.error()));
    if (result->status != 200) return fail("status " + std::to_string(result->status) + refusal);
    if (!done_) fail("no end");
  }

  StreamRecord record;
  std::string refusal;  // the body of an error
  client::EventLines lines;

 private:
  void fail(const std::string& what) {
    if (record.failure.empty()) record.failure = what;
  }
  void on_choice(const nlohmann::json& choice) {
    const std::string text = choice["delta"].value("content", "");
    if (!text.empty() && record.num_ends > 0) fail("text after the end: " + text);
    if (!text.empty() && record.text.empty()) record.ttft_s = seconds_since(begin_);
    record.text += text;
    if (choice.contains("finish_reason") && choice["finish_reason"].is_string()) ++record.num_ends;
  }

  const Clock::time_point begin_;
  bool done_ = false;
};

StreamRecord read_stream(httplib::Client& http, const std::string& question, const std::string& body) {
  Reader reader(question, Clock::now());
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.set_header("Content-Type", "application/json");
  request.body = body;
  request.content_receiver = [&](const char* bytes, size_t size, uint64_t, uint64_t) {
    for (const std::string& event : reader.lines.push({bytes, size})) reader.on_event(event);
    if (reader.refusal.size() < 500) reader.refusal.append(bytes, std::min<size_t>(size, 500));
    return true;
  };
  reader.finish(http.send(request));
  return reader.record;
}

}  // namespace

double ttft_quantile(std::vector<StreamRecord> streams, double p) {
  if (streams.empty()) return 0;
  const auto less = [](const StreamRecord& a, const StreamRecord& b) { return a.ttft_s < b.ttft_s; };
  std::sort(streams.begin(), streams.end(), less);
  return streams[std::min(streams.size() - 1, static_cast<size_t>(p * static_cast<double>(streams.size())))].ttft_s;
}

MeasuredLoad::MeasuredLoad(int http_port, const MeasuredLoadOptions& options)
    : http_port_(http_port), options_(options) {
  std::signal(SIGPIPE, SIG_IGN);  // a server that is killed is no end of the test
  for (int i = 0; i < options.clients; ++i) threads_.emplace_back([this, i] { work(i); });
}

void MeasuredLoad::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void MeasuredLoad::work(int number) {
  httplib::Client http("127.0.0.1", http_port_);
  http.set_keep_alive(true);
  http.set_tcp_nodelay(true);
  http.set_read_timeout(120);
  const std::string question = kQuestions[number % 2], body = request_body(question);
  const auto interval = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.interval_s));
  auto next = Clock::now() + interval * number / options_.clients;
  while (!stopping_) {
    std::this_thread::sleep_until(next);
    StreamRecord record = read_stream(http, question, body);
    next = std::max(next + interval, Clock::now());
    ++num_ended_;
    std::lock_guard lock(mutex_);
    ended_.push_back(std::move(record));
  }
}

std::vector<StreamRecord> MeasuredLoad::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(ended_, {});
}

}  // namespace sf::test
