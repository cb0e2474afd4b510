#include <httplib.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "client/answer_json.h"
#include "client/client.h"
#include "client/event_lines.h"

namespace sf::client {
namespace {

using nlohmann::json;

// Shortest text that reads back as the same float, so that 0.1f goes out as 0.1.
std::string number_text(float value) { return json(static_cast<double>(std::stod(std::to_string(value)))).dump(); }

httplib::UploadFormDataItems form_of(const Question& question, bool stream) {
  httplib::UploadFormDataItems items = {{"image", question.image, "image", "application/octet-stream"},
                                        {"question", question.question, "", ""}};
  const auto add = [&](const char* name, std::string value) { items.push_back({name, std::move(value), "", ""}); };
  if (question.max_tokens) add("max_tokens", std::to_string(*question.max_tokens));
  if (question.top_k) add("top_k", std::to_string(*question.top_k));
  if (question.temperature) add("temperature", number_text(*question.temperature));
  if (question.top_p) add("top_p", number_text(*question.top_p));
  if (question.seed) add("seed", std::to_string(*question.seed));
  for (const std::string& stop : question.stop) add("stop", stop);
  for (const std::string& choice : question.choices) add("choices", choice);
  if (question.batch) add("priority", "batch");
  if (question.timeout_ms) add("timeout_ms", std::to_string(*question.timeout_ms));
  if (!question.model.empty()) add("model", question.model);
  if (stream) add("stream", "true");
  return items;
}

void require_ok(const httplib::Response& response) {
  if (response.status == 200) return;
  throw error_from(response.body, response.status, response.get_header_value("Retry-After"));
}

httplib::UploadFormDataItems form_of(const ExplainQuestion& question, const char* format) {
  httplib::UploadFormDataItems items = form_of(question.question, false);
  const auto add = [&](const char* name, std::string value) { items.push_back({name, std::move(value), "", ""}); };
  add("format", format);
  if (!question.method.empty()) add("method", question.method);
  if (question.layer) add("layer", std::to_string(*question.layer));
  if (question.head) add("head", std::to_string(*question.head));
  if (question.lens_top) add("lens_top", std::to_string(*question.lens_top));
  if (question.token) add("token", std::to_string(*question.token));
  return items;
}

// Connections to one server, so that each of several threads keeps its own alive.
class Pool {
 public:
  Pool(std::string url, const ConnectOptions& options) : url_(std::move(url)), options_(options) {}

  std::unique_ptr<httplib::Client> take() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
    }
    auto connection = std::make_unique<httplib::Client>(url_, options_.cert_file, options_.key_file);
    if (!options_.ca_file.empty()) connection->set_ca_cert_path(options_.ca_file);
    connection->set_keep_alive(true);
    connection->set_tcp_nodelay(true);
    connection->set_connection_timeout(std::chrono::milliseconds(options_.connect_timeout_ms));
    connection->set_read_timeout(std::chrono::milliseconds(options_.read_timeout_ms));
    connection->set_write_timeout(std::chrono::milliseconds(options_.read_timeout_ms));
    if (!options_.api_key.empty()) connection->set_bearer_token_auth(options_.api_key);
    return connection;
  }

  void give_back(std::unique_ptr<httplib::Client> connection) {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
  }

 private:
  const std::string url_;
  const ConnectOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<httplib::Client>> idle_;
};

class HttpClient final : public Client {
 public:
  HttpClient(const std::string& url, const ConnectOptions& options)
      : url_(url), read_timeout_ms_(options.read_timeout_ms), pool_(url, options) {}

  Answer ask(const Question& question) override {
    auto connection = take_for(question);
    const httplib::Result result = connection->Post("/v1/answer", headers_of(question), form_of(question, false));
    const httplib::Response& response = require(result);
    require_ok(response);
    Answer answer = answer_from(json::parse(response.body, nullptr, false));
    pool_.give_back(std::move(connection));
    return answer;
  }

  Answer ask_stream(const Question& question, const OnDelta& on_delta) override;

  Explained explain(const ExplainQuestion& question) override {
    const auto post = [&](const char* format) {
      auto connection = pool_.take();
      const httplib::Result result =
          connection->Post("/v1/explain", headers_of(question.question), form_of(question, format));
      const httplib::Response& response = require(result);
      require_ok(response);
      pool_.give_back(std::move(connection));
      return response.body;
    };
    Explained explained = explained_from(json::parse(post("json"), nullptr, /*allow_exceptions=*/false));
    if (question.image) explained.png = post("png");
    return explained;
  }

  bool is_healthy(bool ready) override {
    auto connection = pool_.take();
    const httplib::Result result = connection->Get(ready ? "/v2/health/ready" : "/v2/health/live");
    return result && result->status == 200;
  }

  std::vector<Model> models() override {
    auto connection = pool_.take();
    const httplib::Result result = connection->Get("/v1/models");
    const httplib::Response& response = require(result);
    require_ok(response);
    try {
      std::vector<Model> models;
      const json list = json::parse(response.body);  // named: a range-for does not keep a temporary alive
      for (const json& model : list.at("data")) {
        models.push_back({model.at("id"), model.at("version"), model.dump()});
      }
      return models;
    } catch (const json::exception&) {
      throw ClientError("INTERNAL", "the server sent no list of models");
    }
  }

  std::vector<ModelVersion> versions() override { return versions_from(get_json("/v1/versions")); }
  ExpertTable experts() override { return experts_from(get_json("/v1/experts")); }

  int64_t tell(VersionCommand command, int64_t version) override {
    static constexpr const char* kPaths[] = {"/v1/admin/load", "/v1/admin/pin", "/v1/admin/unpin",
                                             "/v1/admin/rollback"};
    const json body = version == 0 ? json::object() : json{{"version", version}};
    auto connection = pool_.take();
    const httplib::Result result =
        connection->Post(kPaths[static_cast<size_t>(command)], body.dump(), "application/json");
    const httplib::Response& response = require(result);
    require_ok(response);
    const json answer = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
    if (!answer.is_object() || !answer.contains("version") || !answer["version"].is_number_integer()) {
      throw ClientError("INTERNAL", "the server did not say which version serves");
    }
    return answer["version"];
  }

 private:
  json get_json(const char* path) {
    auto connection = pool_.take();
    const httplib::Result result = connection->Get(path);
    const httplib::Response& response = require(result);
    require_ok(response);
    return json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  }

  std::unique_ptr<httplib::Client> take_for(const Question& question) {
    auto connection = pool_.take();
    // The server's own deadline comes first, so that its error arrives.
    const int64_t patience_ms = question.timeout_ms ? *question.timeout_ms + 1000 : read_timeout_ms_;
    connection->set_read_timeout(std::chrono::milliseconds(patience_ms));
    return connection;
  }

  static httplib::Headers headers_of(const Question& question) {
    httplib::Headers headers;
    if (!question.request_id.empty()) headers.emplace("X-Request-Id", question.request_id);
    return headers;
  }

  const httplib::Response& require(const httplib::Result& result) const {
    if (!result) throw ClientError("UNAVAILABLE", "no answer from " + url_ + ": " + httplib::to_string(result.error()));
    return *result;
  }

  const std::string url_;
  const int read_timeout_ms_;
  Pool pool_;
};

// What the events of one stream add up to.
struct StreamState {
  EventLines lines;
  std::optional<Answer> answer;
  std::optional<ClientError> error;
  bool cancelled = false;

  // False ends the reading.
  bool on_event(const std::string& data, const Client::OnDelta& on_delta) {
    if (data == "[DONE]") return true;
    const json event = json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) {
      error = ClientError("INTERNAL", "the server sent an event that is not JSON");
    } else if (event.contains("error")) {
      error = error_from(data, 0);
    } else if (event.contains("delta") && event["delta"].is_string()) {
      cancelled = !on_delta(event["delta"].get_ref<const std::string&>());
    } else {
      answer = answer_from(event);
    }
    return !error && !cancelled;
  }
};

Answer HttpClient::ask_stream(const Question& question, const OnDelta& on_delta) {
  auto connection = take_for(question);
  StreamState state;
  httplib::Response refusal;  // an answer that is no stream
  int status = 0;
  std::exception_ptr thrown;  // httplib's frames must not be unwound through

  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/answer";
  request.headers = headers_of(question);
  const httplib::MultipartFormDataWriter form;
  request.body = form.serialize(form_of(question, true));
  request.set_header("Content-Type", form.content_type());
  request.response_handler = [&](const httplib::Response& response) {
    status = response.status;
    refusal.headers = response.headers;
    refusal.status = response.status;
    return true;
  };
  request.content_receiver = [&](const char* data, size_t size, size_t, size_t) {
    try {
      if (status != 200) {
        refusal.body.append(data, size);
        return refusal.body.size() < (1 << 16);
      }
      for (const std::string& event : state.lines.push({data, size})) {
        if (!state.on_event(event, on_delta)) return false;
      }
      return true;
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  };
  const httplib::Result result = connection->send(request);
  if (thrown) std::rethrow_exception(thrown);
  if (state.cancelled) throw ClientError("CANCELLED", "cancelled by the caller");
  if (state.error) throw *state.error;
  if (status != 0) require_ok(refusal);
  require(result);
  if (!state.answer) throw ClientError("UNAVAILABLE", "the stream ended before the answer did");
  pool_.give_back(std::move(connection));
  return *state.answer;
}

}  // namespace

std::unique_ptr<Client> make_http_client(const std::string& url, const ConnectOptions& options) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    throw ClientError("INVALID_ARGUMENT", "the server's URL must begin with http:// or https://, got " + url);
  }
  return std::make_unique<HttpClient>(url.ends_with('/') ? url.substr(0, url.size() - 1) : url, options);
}

}  // namespace sf::client
