#include "server/kserve/infer_request.h"

namespace sf::server {
namespace {

std::optional<std::string>* place_of(InferRequest& request, const std::string& name) {
  if (name == kImageTensor) return &request.image;
  return name == kQuestionTensor ? &request.question : nullptr;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::ostringstream text;
  for (size_t i = 0; i < shape.size() && i < 8; ++i) text << (i == 0 ? "[" : ",") << shape[i];
  return text.str() + (shape.empty() ? "[]" : shape.size() > 8 ? ",...]" : "]");
}

}  // namespace

void check_input(const InferTensorHead& head) {
  const std::string name = excerpt(head.name);
  if (head.name != kImageTensor && head.name != kQuestionTensor) {
    throw invalid_argument(name, "inputs: unknown input ", name, "; this model takes IMAGE and QUESTION");
  }
  if (head.datatype != kBytesDatatype) {
    throw invalid_argument(name, name, ": datatype must be BYTES, got ", excerpt(head.datatype));
  }
  if (head.shape != std::vector<int64_t>{1}) {
    throw invalid_argument(name, name, ": shape must be [1], got ", shape_text(head.shape));
  }
}

void set_input(InferRequest& request, const InferTensorHead& head, std::string element) {
  check_input(head);
  std::optional<std::string>* place = place_of(request, head.name);
  if (place->has_value()) throw invalid_argument(head.name, head.name, ": given twice");
  *place = std::move(element);
}

void check_outputs(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = excerpt(names[i]);
    if (names[i] != kAnswerTensor) {
      throw invalid_argument(name, "outputs: unknown output ", name, "; this model gives ANSWER");
    }
    if (i > 0) throw invalid_argument(name, name, ": asked for twice");
  }
}

AnswerRequest make_infer_answer(InferRequest request, const ServedModel& model, const std::string& call_id,
                                const std::string& api) {
  if (request.id.size() > kMaxInferIdBytes) {
    throw invalid_argument("id", "id: at most ", kMaxInferIdBytes, " bytes, got ", request.id.size());
  }
  for (const char* name : {kImageTensor, kQuestionTensor}) {
    if (!place_of(request, name)->has_value()) throw invalid_argument(name, "inputs: ", name, " is missing");
  }
  AnswerFields fields = std::move(request.parameters.fields);
  fields.image = std::move(request.image);
  fields.question = std::move(request.question);
  fields.model = model.model.id;
  fields.body_bytes = request.body_bytes;
  return make_answer_request(std::move(fields), call_id, api);
}

std::shared_ptr<ResponseStream> submit_infer(Service& service, AnswerRequest answer, const std::string& asked_version) {
  std::shared_ptr<ResponseStream> stream = service.submit(std::move(answer));
  if (!asked_version.empty() && asked_version != std::to_string(stream->model_version())) {
    stream->cancel();
    throw unknown_version(asked_version, stream->model_version());
  }
  return stream;
}

}  // namespace sf::server
