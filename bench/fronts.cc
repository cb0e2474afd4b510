// What the server's own frontends cost: the whole server over a fake engine that answers at once, beside peers that do
// nothing (a bare cpp-httplib handler, a bare gRPC service), under the same load in the same run.
//
//   bench_fronts [SECONDS] [CONCURRENCY]      (bench/serve.sh --fake pins and repeats it)
//
// The servers are a child process on the first core, the load is this one on the second. Printed is a Markdown table:
// requests and streamed tokens a second, and the server's processor time of each, which a busy machine hardly changes.
#include <grpcpp/grpcpp.h>
#include <httplib.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "inference/grpc_service.grpc.pb.h"
#include "server/kserve/bytes_tensor.h"
#include "server/wire/base64.h"
#include "sparsefusion/v1/vqa.grpc.pb.h"
#include "tests/support/fake_server.h"

namespace sf::server {
namespace {

namespace wire = sparsefusion::v1;

constexpr int kStreamTokens = 64;
// An image of the demo's size: 4 KB that the fake engine takes for one.
std::string image() { return "IMG" + std::string(4093, 'p'); }

struct Ports {
  BoundPorts ours;
  int bare_http = 0, bare_grpc = 0;
};

void pin_to(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof(cores), &cores);
}

class BareService final : public wire::VisualQuestionAnswering::Service {
  grpc::Status Answer(grpc::ServerContext*, const wire::AnswerRequest*, wire::AnswerResponse* response) override {
    response->set_answer("xxxxxxxx");
    return grpc::Status::OK;
  }
  grpc::Status StreamAnswer(grpc::ServerContext*, const wire::AnswerRequest*,
                            grpc::ServerWriter<wire::StreamAnswerResponse>* writer) override {
    wire::StreamAnswerResponse delta;
    delta.set_delta("x");
    for (int i = 0; i < kStreamTokens; ++i) writer->Write(delta);
    return grpc::Status::OK;
  }
};

// Effect: serves until its parent ends; writes its ports to `pipe`.
[[noreturn]] void serve(int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  ServerOptions options;
  options.max_queue_tokens = 1'000'000;
  FakeServer server(options, {.total_pages = 1 << 20, .keep_plans = false});
  httplib::Server bare_http;
  bare_http.new_task_queue = [] { return new httplib::ThreadPool(64); };
  bare_http.set_tcp_nodelay(true);
  bare_http.Post("/v1/answer", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("{\"answer\":\"xxxxxxxx\"}", "application/json");
  });
  Ports ports{server.ports()};
  ports.bare_http = bare_http.bind_to_any_port("127.0.0.1");
  std::thread listening([&] { bare_http.listen_after_bind(); });
  BareService bare;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &ports.bare_grpc);
  builder.RegisterService(&bare);
  const std::unique_ptr<grpc::Server> bare_grpc = builder.BuildAndStart();
  if (write(pipe, &ports, sizeof(ports)) != sizeof(ports)) _exit(1);
  bare_grpc->Wait();
  _exit(0);
}

double cpu_seconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  double ticks = 0;
  for (int i = 1; file >> word && i <= 15; ++i) {
    if (i >= 14) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Asks once; false for anything but a whole answer. A new one for every client.
using Ask = std::function<bool()>;
struct Row {
  const char* name;
  int tokens;  // streamed
  std::function<Ask()> connect;
};

Ask http_asker(int port, const std::string& path, const std::string& body) {
  auto client = std::make_shared<httplib::Client>("127.0.0.1", port);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  return [client, path, body] {
    const httplib::Result result = client->Post(path, body, "application/json");
    return result && result->status == 200 && result->body.find("\"error\"") == std::string::npos;
  };
}

std::shared_ptr<grpc::Channel> connect(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments);
}

Ask grpc_asker(int port, int num_tokens, bool streamed) {
  auto stub = std::shared_ptr(wire::VisualQuestionAnswering::NewStub(connect(port)));
  wire::AnswerRequest request;
  request.set_image(image());
  request.set_question(std::string(static_cast<size_t>(num_tokens), 'x'));
  return [stub, request, streamed] {
    grpc::ClientContext context;
    if (!streamed) {
      wire::AnswerResponse response;
      return stub->Answer(&context, request, &response).ok();
    }
    const auto reader = stub->StreamAnswer(&context, request);
    for (wire::StreamAnswerResponse event; reader->Read(&event);) continue;
    return reader->Finish().ok();
  };
}

Ask infer_asker(int port) {
  auto stub = std::shared_ptr(inference::GRPCInferenceService::NewStub(connect(port)));
  inference::ModelInferRequest request;
  request.set_model_name("sparsefusion");
  for (const char* name : {"IMAGE", "QUESTION"}) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype("BYTES");
    input->add_shape(1);
  }
  request.add_raw_input_contents(join_bytes_tensor({image()}));
  request.add_raw_input_contents(join_bytes_tensor({"xxxxxxxx"}));
  return [stub, request] {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    return stub->ModelInfer(&context, request, &response).ok();
  };
}

std::string native_body(int num_tokens, bool streamed) {
  return "{\"image\":\"" + encode_base64(image()) + "\",\"question\":\"" +
         std::string(static_cast<size_t>(num_tokens), 'x') + "\"" + (streamed ? ",\"stream\":true}" : "}");
}

std::string chat_body(int num_tokens, bool streamed) {
  return "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," +
         encode_base64(image()) + "\"}},{\"type\":\"text\",\"text\":\"" +
         std::string(static_cast<size_t>(num_tokens), 'x') + "\"}]}]" + (streamed ? ",\"stream\":true}" : "}");
}

std::string infer_body() {
  return "{\"inputs\":[{\"name\":\"IMAGE\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"" + encode_base64(image()) +
         "\"]},{\"name\":\"QUESTION\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"xxxxxxxx\"]}]}";
}

void measure(const Row& row, pid_t server, double seconds, int concurrency) {
  std::vector<Ask> asks;
  for (int i = 0; i < concurrency; ++i) asks.push_back(row.connect());
  for (Ask& ask : asks) ask();
  std::atomic<int> num_ok{0}, num_failed{0};
  const double cpu_before = cpu_seconds(server);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  std::vector<std::thread> clients;
  for (Ask& ask : asks) {
    clients.emplace_back([&] {
      while (elapsed() < seconds) ++(ask() ? num_ok : num_failed);
    });
  }
  for (std::thread& client : clients) client.join();
  const double took = elapsed(), cpu_us = (cpu_seconds(server) - cpu_before) * 1e6 / std::max(1, num_ok.load());
  std::printf("| %s | %d | %.0f | %.0f | %.0f | %.1f | %d |\n", row.name, concurrency, num_ok / took,
              row.tokens * num_ok / took, cpu_us, row.tokens > 0 ? cpu_us / row.tokens : 0, num_failed.load());
  std::fflush(stdout);
}

int run(double seconds, int concurrency) {
  int pipe[2];
  if (::pipe(pipe) != 0) return 1;
  const pid_t server = fork();
  if (server == 0) {
    pin_to(0);
    serve(pipe[1]);
  }
  pin_to(1);
  Ports ports;
  if (read(pipe[0], &ports, sizeof(ports)) != sizeof(ports)) return 1;
  const int http = ports.ours.http, grpc = ports.ours.grpc;
  const Row rows[] = {
      {"bare cpp-httplib", 0, [&] { return http_asker(ports.bare_http, "/v1/answer", native_body(8, false)); }},
      {"REST", 0, [&] { return http_asker(http, "/v1/answer", native_body(8, false)); }},
      {"OpenAI chat", 0, [&] { return http_asker(http, "/v1/chat/completions", chat_body(8, false)); }},
      {"KServe REST", 0, [&] { return http_asker(http, "/v2/models/sparsefusion/infer", infer_body()); }},
      {"SSE", kStreamTokens, [&] { return http_asker(http, "/v1/answer", native_body(kStreamTokens, true)); }},
      {"OpenAI chat SSE", kStreamTokens,
       [&] { return http_asker(http, "/v1/chat/completions", chat_body(kStreamTokens, true)); }},
      {"bare gRPC", 0, [&] { return grpc_asker(ports.bare_grpc, 8, false); }},
      {"gRPC", 0, [&] { return grpc_asker(grpc, 8, false); }},
      {"KServe gRPC", 0, [&] { return infer_asker(grpc); }},
      {"bare gRPC stream", kStreamTokens, [&] { return grpc_asker(ports.bare_grpc, kStreamTokens, true); }},
      {"gRPC stream", kStreamTokens, [&] { return grpc_asker(grpc, kStreamTokens, true); }},
  };
  std::puts(
      "| front | clients | requests/s | tokens/s | server CPU us a request | us a token | failed |\n"
      "|---|---|---|---|---|---|---|");
  for (const Row& row : rows) measure(row, server, seconds, concurrency);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return 0;
}

}  // namespace
}  // namespace sf::server

int main(int argc, char** argv) {
  return sf::server::run(argc > 1 ? std::atof(argv[1]) : 3, argc > 2 ? std::atoi(argv[2]) : 32);
}
