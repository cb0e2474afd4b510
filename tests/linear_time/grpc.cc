// What strangers send to the gRPC port: protobuf fields of every shape, over sockets, to the server that ships, before
// a service without a model. The client's own work is counted too: it is linear.
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/grpcpp.h>

#include <memory>

#include "inference/grpc_service.grpc.pb.h"
#include "server/grpc/grpc_server.h"
#include "sparsefusion/v1/vqa.grpc.pb.h"
#include "tests/linear_time/measure.h"
#include "tests/support/fake_service.h"

namespace sf::server {
namespace {

using linear_time::Measure;
using linear_time::repeat;

GrpcOptions options() {
  GrpcOptions options;
  options.port = 0;
  return options;
}

class Fronts {
 public:
  Fronts() : server_(options(), service_) {
    server_.start();
    const auto channel =
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server_.port()), grpc::InsecureChannelCredentials());
    vqa_ = sparsefusion::v1::VisualQuestionAnswering::NewStub(channel);
    kserve_ = inference::GRPCInferenceService::NewStub(channel);
    answer({});  // warm
    infer({});
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
  FakeService service_;
  GrpcServer server_;
  std::unique_ptr<sparsefusion::v1::VisualQuestionAnswering::Stub> vqa_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> kserve_;
};

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
  answer("question", 400'000, [](Request& request, size_t n) { request.set_question(repeat("\xe2\x82\xac", n)); });
  answer("image", 4'000'000, [](Request& request, size_t n) { request.set_image("IMG" + repeat("x", n)); });
  answer("stop strings", 10'000, [](Request& request, size_t n) {
    for (size_t i = 0; i < n; ++i) request.add_stop("a");
  });
  answer("unknown fields", 60'000, [](Request& request, size_t n) {
    auto* const unknown = request.GetReflection()->MutableUnknownFields(&request);
    for (size_t i = 0; i < n; ++i) unknown->AddVarint(1000, i);
  });
  answer("unknown groups", 30'000, [](Request& request, size_t n) {
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
  infer("parameters", 8000, [](Infer& request, size_t n) {
    for (size_t i = 0; i < n; ++i) (*request.mutable_parameters())["triton_" + std::to_string(i)].set_int64_param(1);
  });
  infer("inputs", 8000, [](Infer& request, size_t n) {
    for (size_t i = 0; i < n; ++i) request.add_inputs()->set_name("IMAGE");
  });
  infer("shape", 400'000, [](Infer& request, size_t n) {
    auto* const input = request.add_inputs();
    input->set_name("IMAGE");
    input->set_datatype("BYTES");
    for (size_t i = 0; i < n; ++i) input->add_shape(1);
  });
  infer("raw contents", 30'000, [](Infer& request, size_t n) {
    for (size_t i = 0; i < n; ++i) request.add_raw_input_contents("x");
  });
  infer("elements", 30'000, [](Infer& request, size_t n) {
    auto* const input = request.add_inputs();
    input->set_name("QUESTION");
    input->set_datatype("BYTES");
    input->add_shape(1);
    for (size_t i = 0; i < n; ++i) input->mutable_contents()->add_bytes_contents("x");
  });
}

}  // namespace
}  // namespace sf::server

int main(int argc, char** argv) {
  using namespace sf::server;
  const sf::linear_time::Measure measure(argc, argv);
  const Fronts fronts;
  measure_grpc(measure, fronts);
}
