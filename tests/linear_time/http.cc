// What strangers send to the HTTP port: JSON, images as text, binary tensors and forms, over sockets, to the server
// that ships, before a service without a model.
#include <functional>
#include <stdexcept>

#include "server/http/http_server.h"
#include "server/wire/base64.h"
#include "tests/linear_time/measure.h"
#include "tests/support/fake_service.h"
#include "tests/support/raw_connection.h"

namespace sf::server {
namespace {

using linear_time::Measure;
using linear_time::numbered;
using linear_time::repeat;

constexpr const char* kJson = "application/json";
constexpr const char* kForm = "multipart/form-data; boundary=cut";
constexpr const char* kAnswer = "/v1/answer";
constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kInfer = "/v2/models/sparsefusion/infer";
constexpr const char* kGenerate = "/v2/models/sparsefusion/generate";

struct Post {
  std::string path, content_type, body, headers = {};
};

// Threads as few as the server takes: each is one more for valgrind.
HttpOptions options() {
  HttpOptions options;
  options.port = 0;
  options.limits.max_batch = options.limits.max_queue_requests = 1;
  return options;
}

class Fronts {
 public:
  Fronts() : server_(options(), service_) {
    server_.start();
    post({kAnswer, kJson, "{}"});  // warm
  }

  // Errors: std::runtime_error unless there is an answer that is about the body.
  void post(const Post& post) const {
    RawConnection connection(server_.port());
    connection.send("POST " + post.path +
                    " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: " + post.content_type + "\r\n" +
                    post.headers + "Content-Length: " + std::to_string(post.body.size()) + "\r\n\r\n");
    connection.send(post.body);
    const std::string answer = connection.read_all();
    if (!answer.starts_with("HTTP/1.1 200 ") && !answer.starts_with("HTTP/1.1 400 ")) {
      throw std::runtime_error("not an answer about the body: " + answer.substr(0, 200));
    }
  }

 private:
  FakeService service_;
  HttpServer server_;
};

std::string image_and(const std::string& rest) { return "{\"image\":\"" + encode_base64("IMG") + "\"," + rest + "}"; }
std::string part(const std::string& name, const std::string& content, const std::string& headers = "") {
  return "--cut\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n" + headers + "\r\n" + content + "\r\n";
}

void measure_json(const Measure& measure, const Fronts& fronts) {
  const auto run = [&](const Post& post) { fronts.post(post); };
  const auto json = [&](const char* path, const std::string& name, size_t n, const auto& body) {
    measure(
        "json " + name + " at " + path, n,
        [&](size_t size) {
          return Post{path, kJson, body(size)};
        },
        run);
  };
  for (const char* path : {kAnswer, kChat, kInfer, kGenerate}) {
    json(path, "empty objects", 8000, [](size_t n) { return "{\"x\":[" + repeat("{},", n) + "{}]}"; });
  }
  json(kAnswer, "empty arrays", 8000, [](size_t n) { return "{\"x\":[" + repeat("[],", n) + "[]]}"; });
  json(kAnswer, "numbers", 16000, [](size_t n) { return "{\"x\":[" + repeat("1,", n) + "1]}"; });
  json(kAnswer, "long numbers", 300,
       [](size_t n) { return "{\"x\":[" + repeat("0." + repeat("7", 900) + ",", n) + "1]}"; });
  json(kAnswer, "strings", 8000, [](size_t n) { return "{\"x\":[" + repeat("\"text\",", n) + "1]}"; });
  json(kAnswer, "keys", 4000, [](size_t n) { return "{" + numbered("\"k", "\":0,", n) + "\"z\":0}"; });
  json(kAnswer, "keys in falling order", 4000, [](size_t n) {
    std::string body = "{";
    for (size_t i = n; i > 0; --i) body += "\"" + std::to_string(1'000'000 + i) + "\":0,";
    return body + "\"z\":0}";
  });
  json(kAnswer, "keys of one beginning", 1000,
       [](size_t n) { return "{" + numbered("\"" + repeat("k", 200), "\":0,", n) + "\"z\":0}"; });
  json(kAnswer, "one key in many objects", 8000, [](size_t n) { return "{\"x\":[" + repeat("{\"k\":0},", n) + "0]}"; });
  json(kAnswer, "nests", 500,
       [](size_t n) { return "{\"x\":[" + repeat(repeat("[", 30) + repeat("]", 30) + ",", n) + "0]}"; });
  json(kAnswer, "white space", 400'000, [](size_t n) { return repeat(" \n", n) + "{}"; });
  json(kAnswer, "a long string", 800'000, [](size_t n) { return "{\"x\":\"" + repeat("a", n) + "\"}"; });
  json(kAnswer, "a long key", 800'000, [](size_t n) { return "{\"" + repeat("a", n) + "\":0}"; });
  json(kAnswer, "escapes", 20'000, [](size_t n) { return "{\"x\":\"" + repeat("\\ud83d\\ude00\\n", n) + "\"}"; });
  json(kAnswer, "a question of UTF-8", 50'000, [](size_t n) {
    return image_and("\"question\":\"" + repeat("\xe2\x82\xac\xc3\xa9", n) + "\",\"max_tokens\":1");
  });
  json(kAnswer, "stop strings", 8000,
       [](size_t n) { return image_and("\"stop\":[" + repeat("\"a\",", n) + "\"a\"]"); });
  json(kAnswer, "choices", 8000,
       [](size_t n) { return image_and("\"choices\":[" + numbered("\"c", "\",", n) + "\"a\"]"); });
  json(kChat, "messages", 16, [](size_t n) {
    const std::string text = "{\"type\":\"text\",\"text\":\"" + repeat("a", 100) + "\"},";
    const std::string message =
        "{\"role\":\"user\",\"content\":[" + repeat(text, 62) + "{\"type\":\"text\",\"text\":\"\"}]}";
    return "{\"max_tokens\":1,\"messages\":[" + repeat(message + ",", n - 1) + message + "]}";
  });
  json(kGenerate, "parameters", 4000, [](size_t n) {
    return "{\"QUESTION\":\"q\",\"IMAGE\":\"" + encode_base64("IMG") + "\",\"max_tokens\":1," +
           numbered("\"triton_", "\":0,", n) + "\"triton_\":0}";
  });
}

void measure_images(const Measure& measure, const Fronts& fronts) {
  const auto run = [&](const Post& post) { fronts.post(post); };
  const auto image = [](size_t n) { return encode_base64("IMG" + repeat("\xff\xef\x01", n)); };
  const auto body = [](const std::string& image, const std::string& head = "") {
    return Post{kAnswer, kJson, "{\"max_tokens\":1,\"question\":\"q\",\"image\":\"" + head + image + "\"}"};
  };
  measure(
      "base64 plain", 60'000, [&](size_t n) { return body(image(n)); }, run);
  measure(
      "base64 in lines", 20'000,
      [&](size_t n) {
        std::string lines;
        for (const char c : image(n)) lines += std::string(1, c) + "\\r\\n";
        return body(lines);
      },
      run);
  measure(
      "base64 and padding without end", 200'000, [&](size_t n) { return body(repeat("=", n)); }, run);
  measure(
      "base64 and line ends without end", 100'000, [&](size_t n) { return body(repeat("\\n", n)); }, run);
  measure(
      "data URI", 60'000, [&](size_t n) { return body(image(n), "data:image/png;base64,"); }, run);
  measure(
      "data URI with a long head", 800'000,
      [&](size_t n) { return body("AAAA", "data:" + repeat(";base64", n / 7) + ";base64,"); }, run);
  measure(
      "data URI of chat", 60'000,
      [&](size_t n) {
        return Post{
            kChat, kJson,
            "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
            "\"url\":\"data:image/png;base64," +
                image(n) + "\"}},{\"type\":\"text\",\"text\":\"q\"}]}]}"};
      },
      run);
  measure(
      "KServe binary tensors", 4'500'000,
      [&](size_t n) {
        const auto length = [](size_t size) {
          std::string bytes;
          for (int i = 0; i < 4; ++i) bytes += static_cast<char>(size >> (8 * i) & 0xff);
          return bytes;
        };
        const std::string image = "IMG" + repeat("x", n);
        const std::string head =
            "{\"parameters\":{\"max_tokens\":1},\"inputs\":[{\"name\":\"IMAGE\",\"datatype\":\"BYTES\",\"shape\":[1],"
            "\"parameters\":{\"binary_data_size\":" +
            std::to_string(image.size() + 4) +
            "}},{\"name\":\"QUESTION\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"q\"]}]}";
        return Post{kInfer, "application/octet-stream", head + length(image.size()) + image,
                    "Inference-Header-Content-Length: " + std::to_string(head.size()) + "\r\n"};
      },
      run);
}

void measure_forms(const Measure& measure, const Fronts& fronts) {
  const auto form = [&](const std::string& name, size_t n, const auto& body, const std::string& type = kForm) {
    measure(
        "form " + name, n,
        [&](size_t size) {
          return Post{kAnswer, type, body(size)};
        },
        [&](const Post& post) { fronts.post(post); });
  };
  form("headers of parts", 30,
       [](size_t n) { return repeat(part("stop", "x", numbered("a", ":\r\n", 1500)), n) + "--cut--\r\n"; });
  form("parameters of a header", 30, [](size_t n) {
    return repeat(part("stop", "x", "Content-Disposition: form-data" + numbered("; p", "=\"v\"", 1200) + "\r\n"), n) +
           "--cut--\r\n";
  });
  form(
      "a preamble", 100'000, [](size_t n) { return repeat("\r\n--", n) + "--b--"; },
      "multipart/form-data; boundary=" + repeat("-", 70));
  form("line ends in a part", 60'000, [](size_t n) { return part("image", repeat("\r\n--cu", n)) + "--cut--\r\n"; });
  form(
      "a long boundary almost met", 6000,
      [](size_t n) { return part("image", repeat("\r\n--" + repeat("b", 69), n)) + "--cut--\r\n"; },
      "multipart/form-data; boundary=" + repeat("b", 70));
}

}  // namespace
}  // namespace sf::server

int main(int argc, char** argv) {
  using namespace sf::server;
  const sf::linear_time::Measure measure(argc, argv);
  const Fronts fronts;
  measure_json(measure, fronts);
  measure_images(measure, fronts);
  measure_forms(measure, fronts);
}
