#include <httplib.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "server/kserve/bytes_tensor.h"
#include "server/wire/base64.h"
#include "tests/integration/ways_to_ask.h"

namespace sf::test {
namespace {

using client::Question;
using nlohmann::json;

std::string code_of(int status) {
  static const std::map<int, std::string> kCodes = {{200, "OK"},
                                                    {400, "INVALID_ARGUMENT"},
                                                    {404, "NOT_FOUND"},
                                                    {413, "RESOURCE_EXHAUSTED"},
                                                    {415, "INVALID_ARGUMENT"},
                                                    {429, "RESOURCE_EXHAUSTED"},
                                                    {503, "UNAVAILABLE"},
                                                    {504, "DEADLINE_EXCEEDED"}};
  const auto code = kCodes.find(status);
  return code == kCodes.end() ? "HTTP " + std::to_string(status) : code->second;
}

std::string base64(const Question& question) { return server::encode_base64(question.image); }

// What the API's all call by the same names.
json sampling_of(const Question& question) {
  json fields = json::object();
  if (question.max_tokens) fields["max_tokens"] = *question.max_tokens;
  if (question.temperature) fields["temperature"] = *question.temperature;
  if (question.top_p) fields["top_p"] = *question.top_p;
  if (question.top_k) fields["top_k"] = *question.top_k;
  if (question.seed) fields["seed"] = *question.seed;
  if (!question.stop.empty()) fields["stop"] = question.stop;
  return fields;
}

json native_body(const Question& question) {
  json body = sampling_of(question);
  body["image"] = base64(question);
  body["question"] = question.question;
  if (!question.model.empty()) body["model"] = question.model;
  return body;
}

json chat_body(const Question& question) {
  json body = sampling_of(question);
  const json image = {{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64," + base64(question)}}}};
  const json parts = json::array({image, {{"type", "text"}, {"text", question.question}}});
  body["messages"] = json::array({{{"role", "user"}, {"content", parts}}});
  if (!question.model.empty()) body["model"] = question.model;
  return body;
}

json tensor(const char* name) { return {{"name", name}, {"datatype", "BYTES"}, {"shape", {1}}}; }

std::string model_path(const Question& question, const char* action, const char* twin = "") {
  return "/v2/models/" + (question.model.empty() ? "sparsefusion" : question.model) + twin + "/" + action;
}

// The data of every event, "[DONE]" left out.
std::vector<json> events_of(const std::string& body) {
  std::vector<json> events;
  std::istringstream lines(body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("data: ") && line != "data: [DONE]") events.push_back(json::parse(line.substr(6)));
  }
  return events;
}

Outcome native_outcome(const json& answer) {
  const json& usage = answer.at("usage");
  return {.text = answer.at("answer"),
          .finish_reason = answer.at("finish_reason"),
          .version = answer.at("model_version"),
          .image_tokens = usage.at("image_tokens"),
          .prompt_tokens = usage.at("prompt_tokens"),
          .completion_tokens = usage.at("completion_tokens"),
          .cached_tokens = usage.at("cached_tokens")};
}

Outcome kserve_outcome(const std::string& text, const json& answer) {
  const json& parameters = answer.at("parameters");
  return {.text = text,
          .finish_reason = parameters.at("finish_reason"),
          .version = std::stoll(answer.at("model_version").get<std::string>()),
          .image_tokens = parameters.at("image_tokens"),
          .prompt_tokens = parameters.at("prompt_tokens"),
          .completion_tokens = parameters.at("completion_tokens"),
          .cached_tokens = parameters.at("cached_tokens")};
}

Outcome chat_outcome(const std::string& text, const json& finish_reason, int64_t version, const json& usage) {
  return {.text = text,
          .finish_reason = finish_reason,
          .version = version,
          .prompt_tokens = usage.at("prompt_tokens"),
          .completion_tokens = usage.at("completion_tokens"),
          .cached_tokens = usage.at("prompt_tokens_details").at("cached_tokens")};
}

// Posts, and hands what was answered with 200 to `read`.
using Read = std::function<Outcome(const httplib::Response&)>;
Outcome post(int port, const std::string& path, const std::string& body, const httplib::Headers& headers,
             const std::string& type, const Read& read) {
  httplib::Client http("127.0.0.1", port);
  http.set_read_timeout(60);
  const httplib::Result result = http.Post(path, headers, body, type);
  if (!result) return {.code = "no HTTP answer"};
  return result->status == 200 ? read(*result) : Outcome{.code = code_of(result->status)};
}
Outcome post_json(int port, const std::string& path, const json& body, const Read& read) {
  return post(port, path, body.dump(), {}, "application/json", read);
}

Outcome ask_native(int port, const Question& question) {
  return post_json(port, "/v1/answer", native_body(question),
                   [](const auto& response) { return native_outcome(json::parse(response.body)); });
}

Outcome ask_form(int port, const Question& question) {
  httplib::UploadFormDataItems items = {{"image", question.image, "a.png", "image/png"},
                                        {"question", question.question, "", ""}};
  if (!question.model.empty()) items.push_back({"model", question.model, "", ""});
  const json sampling = sampling_of(question);
  for (const auto& [name, value] : sampling.items()) {
    if (name != "stop") items.push_back({name, value.dump(), "", ""});
  }
  for (const std::string& stop : question.stop) items.push_back({"stop", stop, "", ""});
  httplib::Client http("127.0.0.1", port);
  const httplib::Result result = http.Post("/v1/answer", items);
  if (!result) return {.code = "no HTTP answer"};
  return result->status == 200 ? native_outcome(json::parse(result->body)) : Outcome{.code = code_of(result->status)};
}

Outcome ask_native_stream(int port, const Question& question) {
  json body = native_body(question);
  body["stream"] = true;
  return post_json(port, "/v1/answer", body, [](const auto& response) {
    const std::vector<json> events = events_of(response.body);
    std::string text;
    for (const json& event : events) text += event.value("delta", "");
    Outcome outcome = native_outcome(events.back());
    if (outcome.text != text) outcome.text += " and not " + text;
    return outcome;
  });
}

Outcome ask_chat(int port, const Question& question) {
  return post_json(port, "/v1/chat/completions", chat_body(question), [](const auto& response) {
    const json answer = json::parse(response.body);
    const json& choice = answer.at("choices").at(0);
    return chat_outcome(choice.at("message").at("content"), choice.at("finish_reason"),
                        std::stoll(response.get_header_value("X-Model-Version")), answer.at("usage"));
  });
}

Outcome ask_chat_stream(int port, const Question& question) {
  json body = chat_body(question);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return post_json(port, "/v1/chat/completions", body, [](const auto& response) {
    std::string text;
    json finish_reason, usage;
    for (const json& event : events_of(response.body)) {
      if (event.at("choices").empty()) usage = event.at("usage");
      for (const json& choice : event.at("choices")) {
        text += choice.at("delta").value("content", "");
        if (!choice.at("finish_reason").is_null()) finish_reason = choice.at("finish_reason");
      }
    }
    return chat_outcome(text, finish_reason, std::stoll(response.get_header_value("X-Model-Version")), usage);
  });
}

Outcome ask_infer(int port, const Question& question) {
  json image = tensor("IMAGE"), text = tensor("QUESTION");
  image["data"] = {base64(question)};
  text["data"] = {question.question};
  const json body = {{"inputs", json::array({image, text})}, {"parameters", sampling_of(question)}};
  return post_json(port, model_path(question, "infer"), body, [](const auto& response) {
    const json answer = json::parse(response.body);
    return kserve_outcome(answer.at("outputs").at(0).at("data").at(0), answer);
  });
}

Outcome ask_infer_binary(int port, const Question& question) {
  const std::string image_bytes = server::join_bytes_tensor({question.image});
  const std::string text_bytes = server::join_bytes_tensor({question.question});
  json image = tensor("IMAGE"), text = tensor("QUESTION");
  image["parameters"] = {{"binary_data_size", image_bytes.size()}};
  text["parameters"] = {{"binary_data_size", text_bytes.size()}};
  json parameters = sampling_of(question);
  parameters["binary_data_output"] = true;
  const std::string head = json{{"inputs", json::array({image, text})}, {"parameters", parameters}}.dump();
  const httplib::Headers headers = {{"Inference-Header-Content-Length", std::to_string(head.size())}};
  return post(port, model_path(question, "infer"), head + image_bytes + text_bytes, headers, "application/octet-stream",
              [](const auto& response) {
                const size_t size = std::stoul(response.get_header_value("Inference-Header-Content-Length"));
                const auto answer =
                    server::split_bytes_tensor(std::string_view(response.body).substr(size), 1, "ANSWER");
                return kserve_outcome(answer.at(0), json::parse(response.body.substr(0, size)));
              });
}

json generate_body(const Question& question) {
  return {{"IMAGE", base64(question)}, {"QUESTION", question.question}, {"parameters", sampling_of(question)}};
}

Outcome ask_generate(int port, const Question& question) {
  return post_json(port, model_path(question, "generate"), generate_body(question), [](const auto& response) {
    const json answer = json::parse(response.body);
    return kserve_outcome(answer.at("ANSWER"), answer);
  });
}

Outcome ask_generate_stream(int port, const Question& question) {
  return post_json(port, model_path(question, "generate_stream", question.model.empty() ? "_stream" : ""),
                   generate_body(question), [](const auto& response) {
                     const std::vector<json> events = events_of(response.body);
                     std::string text;
                     for (const json& event : events) text += event.at("ANSWER").template get<std::string>();
                     return kserve_outcome(text, events.back());
                   });
}

}  // namespace

std::vector<Way> ways_over_rest(int port) {
  std::vector<Way> ways;
  const std::pair<const char*, Outcome (*)(int, const Question&)> kinds[] = {
      {"REST", ask_native},
      {"REST, a form", ask_form},
      {"REST, streamed", ask_native_stream},
      {"OpenAI", ask_chat},
      {"OpenAI, streamed", ask_chat_stream},
      {"KServe REST, JSON", ask_infer},
      {"KServe REST, binary", ask_infer_binary},
      {"KServe generate", ask_generate},
      {"KServe generate_stream", ask_generate_stream}};
  for (const auto& [name, ask] : kinds) {
    ways.push_back({name, [port, call = ask](const Question& question) { return call(port, question); }});
  }
  return ways;
}

}  // namespace sf::test
