// A KServe client on the generated stub, in front of a FakeService.
#pragma once

#include "inference/grpc_service.grpc.pb.h"
#include "server/kserve/bytes_tensor.h"
#include "tests/server/grpc/grpc_fixture.h"

namespace sf::server {

class KserveFixture : public GrpcFixture {
 protected:
  using Stub = inference::GRPCInferenceService::Stub;
  using Request = inference::ModelInferRequest;
  using Response = inference::ModelInferResponse;

  void start_kserve(GrpcOptions options = {}) {
    start(std::move(options));
    kserve = inference::GRPCInferenceService::NewStub(channel);
  }
  static void add_input(Request& request, const std::string& name) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype("BYTES");
    input->add_shape(1);
  }
  static Request infer(const std::string& model = "sparsefusion", const std::string& id = "") {
    Request request;
    request.set_model_name(model);
    request.set_id(id);
    add_input(request, "IMAGE");
    add_input(request, "QUESTION");
    request.add_raw_input_contents(join_bytes_tensor({"picture"}));
    request.add_raw_input_contents(join_bytes_tensor({"what shape?"}));
    return request;
  }
  static Request typed_infer() {
    Request request = infer();
    request.clear_raw_input_contents();
    request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("picture");
    request.mutable_inputs(1)->mutable_contents()->add_bytes_contents("what shape?");
    return request;
  }
  grpc::Status ask_kserve(const Request& request, Response* response = nullptr) {
    grpc::ClientContext context;
    Response ignored;
    return kserve->ModelInfer(&context, request, response ? response : &ignored);
  }
  static std::string answer_of(const Response& response) {
    if (response.raw_output_contents_size() != 1) return "no output";
    return split_bytes_tensor(response.raw_output_contents(0), 1, "ANSWER").front();
  }
  static bool is_final(const Response& response) {
    return response.parameters().at("triton_final_response").bool_param();
  }

  std::unique_ptr<Stub> kserve;
};

}  // namespace sf::server
