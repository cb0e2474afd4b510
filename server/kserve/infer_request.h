// One inference request, as REST and gRPC both read it, and its way to the service.
//
//   InferRequest infer;
//   set_input(infer, {"IMAGE", "BYTES", {1}}, bytes);
//   set_input(infer, {"QUESTION", "BYTES", {1}}, "what shape?");
//   const ServedModel model = find_served_model(service, "sparsefusion", "");
//   auto stream = submit_infer(service, make_infer_answer(infer, model, call_id, "kserve_grpc"), "");
//
// Thread-safe: free functions and values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/kserve/infer_parameters.h"
#include "server/kserve/model_spec.h"

namespace sf::server {

inline constexpr size_t kMaxInferIdBytes = 256;

struct InferRequest {
  std::string model_name;
  std::string model_version;  // "" = the one served
  std::string id;             // the client's own; echoed
  InferParameters parameters;
  std::optional<std::string> image, question;
  size_t body_bytes = 0;
};

// What is known of an answer from the moment it is submitted.
struct InferHead {
  std::string model_name;
  int64_t model_version = 0;
  std::string id;  // the client's; "" = it gave none
};

// An input as the client describes it; its data come apart from it.
struct InferTensorHead {
  std::string name, datatype;
  std::vector<int64_t> shape;
};

// Errors of the three: InvalidArgument naming the tensor. Unknown and wrong in type or shape (anything but BYTES[1]).
void check_input(const InferTensorHead& head);
// check_input, and: given twice.
void set_input(InferRequest& request, const InferTensorHead& head, std::string element);
// Names of requested outputs: ANSWER, once. None means all.
void check_outputs(const std::vector<std::string>& names);

// Errors: InvalidArgument for a missing input, a parameter out of range, an id over kMaxInferIdBytes.
AnswerRequest make_infer_answer(InferRequest request, const ServedModel& model, const std::string& call_id,
                                const std::string& api);

// Effect: submits. Errors: the service's; NotFound if the version was replaced since it was looked up and the request
// had asked for that one.
std::shared_ptr<ResponseStream> submit_infer(Service& service, AnswerRequest answer, const std::string& asked_version);

}  // namespace sf::server
