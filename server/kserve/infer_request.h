// One inference request, as REST and gRPC both read it, and its way to the service. It asks one question, or a batch of
// n: QUESTION and ANSWER then have n elements, IMAGE n or one for all.
//
//   InferRequest infer;
//   set_input(infer, {"IMAGE", "BYTES", {1}}, {bytes});
//   set_input(infer, {"QUESTION", "BYTES", {1}}, {"what shape?"});
//   const ServedModel model = find_served_model(service, "sparsefusion", "");
//   InferBatch batch(infer, model, model.decoupled, call_id, "kserve_grpc");
//   InferAnswers answers = submit_infer(service, batch, "");
//   InferResult result = wait_for_answers(answers, 20, is_unwanted);
//
// Thread-safe: free functions and values.
#pragma once

#include <functional>
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
  std::optional<std::vector<std::string>> images, questions;
  std::vector<int64_t> shape = {1};  // of QUESTION, and so of ANSWER
  size_t body_bytes = 0;
};

// What is known of an answer from the moment it is submitted.
struct InferHead {
  std::string model_name;
  int64_t model_version = 0;
  std::string id;                    // the client's; "" = it gave none
  std::vector<int64_t> shape = {1};  // of ANSWER
};

// An input as the client describes it; its data come apart from it.
struct InferTensorHead {
  std::string name, datatype;
  std::vector<int64_t> shape;
};

// The number of an input's elements. Errors: InvalidArgument naming the tensor: unknown, of another datatype, of a
// shape that is neither [n] nor [n,1], or with more than `max_batch` elements.
size_t check_input(const InferTensorHead& head, int max_batch);
// Errors: InvalidArgument naming the tensor if it is given twice. REQUIRES: it was checked, and has these elements.
void set_input(InferRequest& request, const InferTensorHead& head, std::vector<std::string> elements);
// Names of requested outputs: ANSWER, once. None means all.
void check_outputs(const std::vector<std::string>& names);

// The questions of one request. Their requests are made one by one: an image that serves them all is in memory at most
// twice.
class InferBatch {
 public:
  InferBatch() = default;
  // `in_parts`: the one answer is sent as it is made. Errors: InvalidArgument for a missing input, numbers of elements
  // that do not fit, several that are to be answered in parts, a parameter `stream` that says the opposite, a parameter
  // out of range, an id over kMaxInferIdBytes.
  InferBatch(InferRequest request, const ServedModel& model, bool in_parts, const std::string& call_id,
             const std::string& api);

  size_t size() const { return questions_.size(); }
  const std::vector<int64_t>& shape() const { return shape_; }
  // What all of them have: all but the messages. May be changed before they are taken.
  AnswerRequest& common() { return common_; }
  const AnswerRequest& common() const { return common_; }
  AnswerRequest request(size_t i) const;

 private:
  AnswerRequest common_;
  std::vector<std::string> images_, questions_;
  std::vector<int64_t> shape_;
};

// Never empty: of one version all.
using InferAnswers = std::vector<std::shared_ptr<ResponseStream>>;

// Effect: submits every question, or none that goes on. Errors: the service's; NotFound if the version was replaced
// since it was looked up and the request had asked for that one.
InferAnswers submit_infer(Service& service, InferBatch batch, const std::string& asked_version);

// Effect: `sum` gets what `other` counted, a question of the same batch: counts are added, of times the longest stays.
void add_summary(Summary& sum, const Summary& other);

// Exactly one of `summary` and `error` is set; `summary` is of all answers, as add_summary makes it.
struct InferResult {
  std::vector<std::string> texts;
  std::optional<Summary> summary;
  std::optional<Error> error;
};

// Blocks until all have ended, or one has failed: the others are cancelled then. As wait_for_answer.
InferResult wait_for_answers(const InferAnswers& answers, int poll_interval_ms,
                             const std::function<bool()>& is_unwanted);

}  // namespace sf::server
