// What strangers send to the whole server as it ships, over a fake engine: every parser of the HTTP and gRPC ports, and
// the two readers of files that need no model.
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <functional>

#include "engine/base/base64.h"
#include "engine/base/toml.h"
#include "engine/checkpoint/safetensors.h"
#include "inference/grpc_service.grpc.pb.h"
#include "sparsefusion/v1/vqa.grpc.pb.h"
#include "tests/linear_time/measure.h"
#include "tests/support/fake_server.h"
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
ServerOptions options() {
  ServerOptions options;
  options.max_batch = 1;
  options.max_queue_requests = 1;
  options.max_queue_tokens = 1 << 22;
  return options;
}
FakeEngineOptions engine_options() {
  FakeEngineOptions options;
  options.total_pages = 1 << 20;
  options.max_context = 1 << 21;
  options.keep_plans = false;
  return options;
}

class Fronts {
 public:
  Fronts() : server_(options(), engine_options()) {
    const std::string address = "127.0.0.1:" + std::to_string(server_.ports().grpc);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    const auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    vqa_ = sparsefusion::v1::VisualQuestionAnswering::NewStub(channel);
    kserve_ = inference::GRPCInferenceService::NewStub(channel);
    post({kAnswer, kJson, "{}"});  // warm
    answer({});
  }
  FakeEngine& engine() { return server_.engine(); }

  // Errors: std::runtime_error unless there is an answer.
  std::string post(const Post& post) const {
    RawConnection connection(server_.ports().http);
    connection.send("POST " + post.path +
                    " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + post.content_type + "\r\n" +
                    post.headers + "Content-Length: " + std::to_string(post.body.size()) + "\r\n\r\n");
    connection.send(post.body);
    const std::string answer = connection.read_all();
    if (!answer.starts_with("HTTP/1.1 ")) throw std::runtime_error("no answer: " + answer.substr(0, 200));
    return answer;
  }
  void answer(const sparsefusion::v1::AnswerRequest& request) const {
    grpc::ClientContext context;
    sparsefusion::v1::AnswerResponse response;
    vqa_->Answer(&context, request, &response);
  }
  void infer(const inference::ModelInferRequest& request) const {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    kserve_->ModelInfer(&context, request, &response);
  }

 private:
  FakeServer server_;
  std::unique_ptr<sparsefusion::v1::VisualQuestionAnswering::Stub> vqa_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> kserve_;
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
  json(kAnswer, "nests", 1000,
       [](size_t n) { return "{\"x\":[" + repeat(repeat("[", 30) + repeat("]", 30) + ",", n) + "0]}"; });
  json(kAnswer, "white space", 200'000, [](size_t n) { return repeat(" \n", n) + "{}"; });
  json(kAnswer, "a long string", 200'000, [](size_t n) { return "{\"x\":\"" + repeat("a", n) + "\"}"; });
  json(kAnswer, "a long key", 200'000, [](size_t n) { return "{\"" + repeat("a", n) + "\":0}"; });
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
      "data URI with a long head", 200'000,
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
      "KServe binary tensors", 400'000,
      [&](size_t n) {
        const auto length = [](size_t size) {
          std::string bytes;
          for (int i = 0; i < 4; ++i) bytes += static_cast<char>(size >> (8 * i) & 0xff);
          return bytes;
        };
        const std::string picture = "IMG" + repeat("x", n);
        const std::string head =
            "{\"parameters\":{\"max_tokens\":1},\"inputs\":[{\"name\":\"IMAGE\",\"datatype\":\"BYTES\",\"shape\":[1],"
            "\"parameters\":{\"binary_data_size\":" +
            std::to_string(picture.size() + 4) +
            "}},{\"name\":\"QUESTION\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"q\"]}]}";
        return Post{kInfer, "application/octet-stream", head + length(picture.size()) + picture,
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
  form("parts", 30, [](size_t n) {
    return numbered("--cut\r\nContent-Disposition: form-data; name=\"a", "\"\r\n\r\n" + repeat("x", 4000) + "\r\n", n) +
           "--cut--\r\n";
  });
  form("headers of parts", 30,
       [](size_t n) { return repeat(part("stop", "x", numbered("a", ":\r\n", 1500)), n) + "--cut--\r\n"; });
  form("parameters of a header", 30, [](size_t n) {
    return repeat(part("stop", "x", "Content-Disposition: form-data" + numbered("; p", "=\"v\"", 1200) + "\r\n"), n) +
           "--cut--\r\n";
  });
  form(
      "a preamble", 100'000, [](size_t n) { return repeat("\r\n--", n) + "--b--"; },
      "multipart/form-data; boundary=" + repeat("-", 70));
  form("an epilogue", 100'000, [](size_t n) { return part("a", "x") + "--cut--" + repeat("\r\n--", n); });
  form("line ends in a part", 60'000, [](size_t n) { return part("image", repeat("\r\n--cu", n)) + "--cut--\r\n"; });
  form(
      "a long boundary almost met", 3000,
      [](size_t n) { return part("image", repeat("\r\n--" + repeat("b", 69), n)) + "--cut--\r\n"; },
      "multipart/form-data; boundary=" + repeat("b", 70));
  form("an image", 400'000, [](size_t n) {
    return part("image", "IMG" + repeat("x", n)) + part("max_tokens", "1") + part("question", "q") + "--cut--\r\n";
  });
}

void measure_answers(const Measure& measure, Fronts& fronts) {
  const auto run = [&](const Post& post) { fronts.post(post); };
  const auto stops = [](size_t count, const std::string& text) {
    return "\"stop\":[" + numbered("\"" + text, "\",", count - 1) + "\"" + text + "\"]";
  };
  // The answer comes in tokens of 1,000 bytes that look like the beginning of every stop string.
  const auto answer = [&](size_t num_tokens) {
    fronts.engine().script("long", std::vector<std::string>(num_tokens, repeat("a", 1000)));
  };
  measure(
      "stop strings against a long answer", 20,
      [&](size_t n) {
        answer(n);
        return Post{kAnswer, kJson, image_and("\"question\":\"long\"," + stops(16, repeat("a", 250) + "b"))};
      },
      run);
  measure(
      "long stop strings", 60,
      [&](size_t n) {
        answer(20);
        return Post{kAnswer, kJson, image_and("\"question\":\"long\"," + stops(16, repeat("a", n) + "b"))};
      },
      run);
}

void measure_grpc(const Measure& measure, const Fronts& fronts) {
  using Request = sparsefusion::v1::AnswerRequest;
  const auto answer = [&](const std::string& name, size_t n, const auto& fill) {
    measure(
        "protobuf " + name, n,
        [&](size_t size) {
          Request request;
          request.set_image("IMG");
          request.set_question("q");
          request.set_max_tokens(1);
          fill(request, size);
          return request;
        },
        [&](const Request& request) { fronts.answer(request); });
  };
  answer("question", 50'000, [](Request& request, size_t n) { request.set_question(repeat("\xe2\x82\xac", n)); });
  answer("image", 800'000, [](Request& request, size_t n) { request.set_image("IMG" + repeat("x", n)); });
  answer("stop strings", 10'000, [](Request& request, size_t n) {
    for (size_t i = 0; i < n; ++i) request.add_stop("a");
  });
  answer("unknown fields", 20'000, [](Request& request, size_t n) {
    auto* const unknown = request.GetReflection()->MutableUnknownFields(&request);
    for (size_t i = 0; i < n; ++i) unknown->AddVarint(1000, i);
  });
  answer("unknown groups", 20'000, [](Request& request, size_t n) {
    auto* const unknown = request.GetReflection()->MutableUnknownFields(&request);
    for (size_t i = 0; i < n; ++i) unknown->AddGroup(1000);
  });

  using Infer = inference::ModelInferRequest;
  const auto infer = [&](const std::string& name, size_t n, const auto& fill) {
    measure(
        "protobuf KServe " + name, n,
        [&](size_t size) {
          Infer request;
          request.set_model_name("sparsefusion");
          fill(request, size);
          return request;
        },
        [&](const Infer& request) { fronts.infer(request); });
  };
  infer("parameters", 4000, [](Infer& request, size_t n) {
    for (size_t i = 0; i < n; ++i) (*request.mutable_parameters())["triton_" + std::to_string(i)].set_int64_param(1);
  });
  infer("inputs", 4000, [](Infer& request, size_t n) {
    for (size_t i = 0; i < n; ++i) request.add_inputs()->set_name("IMAGE");
  });
  infer("shape", 50'000, [](Infer& request, size_t n) {
    auto* const input = request.add_inputs();
    input->set_name("IMAGE");
    input->set_datatype("BYTES");
    for (size_t i = 0; i < n; ++i) input->add_shape(1);
  });
  infer("raw contents", 10'000, [](Infer& request, size_t n) {
    for (size_t i = 0; i < n; ++i) request.add_raw_input_contents("x");
  });
  infer("elements", 10'000, [](Infer& request, size_t n) {
    auto* const input = request.add_inputs();
    input->set_name("QUESTION");
    input->set_datatype("BYTES");
    input->add_shape(1);
    for (size_t i = 0; i < n; ++i) input->mutable_contents()->add_bytes_contents("x");
  });
}

// --- files, by what reads them ---

void measure_files(const Measure& measure) {
  const auto toml = [&](const std::string& name, size_t n, const auto& make) {
    measure("toml " + name, n, make, [](const std::string& text) {
      try {
        parse_toml(text);
      } catch (const Error&) {
      }
    });
  };
  toml("keys", 4000, [](size_t n) { return numbered("k", " = 1\n", n); });
  toml("tables", 2000, [](size_t n) { return numbered("[t", ".u]\nk = 1\n", n); });
  toml("a deep table and keys", 1000,
       [](size_t n) { return "[" + repeat("a.", n) + "a]\n" + numbered("k", " = 1\n", n); });
  toml("values", 10'000, [](size_t n) { return "k = [" + repeat("1, ", n) + "1]\n"; });
  toml("a string", 100'000, [](size_t n) { return "k = \"" + repeat("\\n", n) + "\"\n"; });
  toml("blank lines", 100'000, [](size_t n) { return repeat("\n", n); });

  const auto safetensors = [&](const std::string& name, size_t n, const auto& make) {
    measure(
        "safetensors " + name, n,
        [&](size_t size) {
          const std::string header = make(size);
          std::string bytes;
          for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
          return bytes + header;
        },
        [](const std::string& bytes) {
          try {
            Safetensors::parse(bytes, "model.safetensors");
          } catch (const Error&) {
          }
        });
  };
  const std::string empty = "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
  safetensors("tensors", 1000, [&](size_t n) { return "{" + numbered("\"t", empty + ",", n) + "\"z" + empty + "}"; });
  safetensors("metadata", 4000,
              [&](size_t n) { return "{\"__metadata__\":{" + numbered("\"m", "\":\"v\",", n) + "\"z\":\"v\"}}"; });
}

}  // namespace
}  // namespace sf::server

int main(int argc, char** argv) {
  using namespace sf::server;
  const sf::linear_time::Measure measure(argc, argv);
  Fronts fronts;
  measure_json(measure, fronts);
  measure_images(measure, fronts);
  measure_forms(measure, fronts);
  measure_answers(measure, fronts);
  measure_grpc(measure, fronts);
  measure_files(measure);
}
