#include "server/kserve/infer_request.h"

#include <algorithm>
#include <utility>

#include "server/service/wait_for_answer.h"

namespace sf::server {
namespace {

using Elements = std::optional<std::vector<std::string>>;

Elements* place_of(InferRequest& request, const std::string& name) {
  if (name == kImageTensor) return &request.images;
  return name == kQuestionTensor ? &request.questions : nullptr;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::ostringstream text;
  for (size_t i = 0; i < shape.size() && i < 8; ++i) text << (i == 0 ? "[" : ",") << shape[i];
  return text.str() + (shape.empty() ? "[]" : shape.size() > 8 ? ",...]" : "]");
}

}  // namespace

size_t check_input(const InferTensorHead& head, int max_batch) {
  const std::string name = excerpt(head.name);
  if (head.name != kImageTensor && head.name != kQuestionTensor) {
    throw invalid_argument(name, "inputs: unknown input ", name, "; this model takes IMAGE and QUESTION");
  }
  if (head.datatype != kBytesDatatype) {
    throw invalid_argument(name, name, ": datatype must be BYTES, got ", excerpt(head.datatype));
  }
  const std::vector<int64_t>& shape = head.shape;
  const bool is_column = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  if (!is_column || shape[0] < 1) {
    throw invalid_argument(name, name, ": shape must be [n] or [n,1], got ", shape_text(shape));
  }
  if (shape[0] > max_batch) {
    throw invalid_argument(name, name, ": at most ", max_batch, " elements (max_batch), got ", shape_text(shape));
  }
  return static_cast<size_t>(shape[0]);
}

void set_input(InferRequest& request, const InferTensorHead& head, std::vector<std::string> elements) {
  Elements* place = place_of(request, head.name);
  if (place->has_value()) throw invalid_argument(head.name, head.name, ": given twice");
  if (head.name == kQuestionTensor) request.shape = head.shape;
  *place = std::move(elements);
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

InferBatch::InferBatch(InferRequest request, const ServedModel& model, bool in_parts, const std::string& call_id,
                       const std::string& api)
    : shape_(request.shape) {
  if (request.id.size() > kMaxInferIdBytes) {
    throw invalid_argument("id", "id: at most ", kMaxInferIdBytes, " bytes, got ", request.id.size());
  }
  for (const char* name : {kImageTensor, kQuestionTensor}) {
    if (!place_of(request, name)->has_value()) throw invalid_argument(name, "inputs: ", name, " is missing");
  }
  images_ = std::move(*request.images);
  questions_ = std::move(*request.questions);
  if (images_.size() != 1 && images_.size() != questions_.size()) {
    throw invalid_argument(kImageTensor, kImageTensor, ": must have one element or as many as ", kQuestionTensor,
                           ", which has ", questions_.size(), "; has ", images_.size());
  }
  if (in_parts && questions_.size() > 1) {
    throw invalid_argument(kQuestionTensor, kQuestionTensor, ": one question a request is answered in parts, got ",
                           questions_.size());
  }
  if (request.parameters.stream && *request.parameters.stream != in_parts) {
    throw invalid_argument("stream", "stream: must be ", in_parts ? "true" : "false", " here; generate_stream and ",
                           model.model.id, kStreamSuffix, " in ModelStreamInfer answer in parts, all else whole");
  }
  for (std::string& question : questions_) question = check_question(std::move(question));
  AnswerFields fields = std::move(request.parameters.fields);
  fields.image = std::move(images_.front());
  fields.question = questions_.front();
  fields.model = model.model.id;
  fields.body_bytes = request.body_bytes;
  common_ = make_answer_request(std::move(fields), call_id, api);
  images_.front() = std::move(common_.messages.front().parts.front().data);
  common_.messages.clear();
  for (const std::string& image : images_) {
    if (image.empty()) throw invalid_argument(kImageTensor, kImageTensor, ": an element is empty");
  }
}

AnswerRequest InferBatch::request(size_t i) const {
  AnswerRequest answer = common_;
  Message& message = answer.messages.emplace_back();
  message.role = "user";
  message.parts.push_back({Part::Kind::kImage, images_[images_.size() > 1 ? i : 0]});
  message.parts.push_back({Part::Kind::kText, questions_[i]});
  return answer;
}

InferAnswers submit_infer(Service& service, InferBatch batch, const std::string& asked_version) {
  InferAnswers answers = service.submit_batch(batch.size(), [&](size_t i) { return batch.request(i); });
  const int64_t version = answers.front()->model_version();
  if (!asked_version.empty() && asked_version != std::to_string(version)) {
    for (const auto& answer : answers) answer->cancel();
    throw unknown_version(asked_version, version);
  }
  return answers;
}

void add_summary(Summary& sum, const Summary& other) {
  if (other.finish_reason == FinishReason::kLength) sum.finish_reason = FinishReason::kLength;
  sum.usage.image_tokens += other.usage.image_tokens;
  sum.usage.prompt_tokens += other.usage.prompt_tokens;
  sum.usage.completion_tokens += other.usage.completion_tokens;
  sum.usage.cached_tokens += other.usage.cached_tokens;
  sum.assigned_tokens += other.assigned_tokens;
  sum.overflow_tokens += other.overflow_tokens;
  const auto longer = [](double& time, double of_other) { time = std::max(time, of_other); };
  longer(sum.timings.queue_ms, other.timings.queue_ms);
  longer(sum.timings.image_ms, other.timings.image_ms);
  longer(sum.timings.prefill_ms, other.timings.prefill_ms);
  longer(sum.timings.decode_ms, other.timings.decode_ms);
  longer(sum.timings.total_ms, other.timings.total_ms);
}

InferResult wait_for_answers(const InferAnswers& answers, int poll_interval_ms,
                             const std::function<bool()>& is_unwanted) {
  WholeAnswers all = wait_for_all(answers, poll_interval_ms, is_unwanted);
  if (all.error) return {{}, std::nullopt, std::move(all.error)};
  InferResult result;
  for (WholeAnswer& answer : all.answers) {
    result.texts.push_back(std::move(answer.text));
    if (result.summary) {
      add_summary(*result.summary, *answer.summary);
    } else {
      result.summary = std::move(answer.summary);
    }
  }
  return result;
}

}  // namespace sf::server
