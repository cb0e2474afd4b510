#include "server/grpc/infer_messages.h"

#include <iterator>

#include "server/kserve/bytes_tensor.h"

namespace sf::server {
namespace {

using inference::InferParameter;
using inference::ModelInferRequest;

InferValue value_of(const std::string& name, const InferParameter& parameter) {
  switch (parameter.parameter_choice_case()) {
    case InferParameter::kBoolParam:
      return parameter.bool_param();
    case InferParameter::kInt64Param:
      return parameter.int64_param();
    case InferParameter::kStringParam:
      return parameter.string_param();
    case InferParameter::kDoubleParam:
      return parameter.double_param();
    case InferParameter::kUint64Param:
      return parameter.uint64_param();
    case InferParameter::PARAMETER_CHOICE_NOT_SET:
      break;
  }
  throw invalid_argument(excerpt(name), excerpt(name), ": has no value");
}

// What KServe's and Triton's clients say of a tensor on both protocols, and means nothing here: how many of HTTP's
// bytes are its own, and how an output is wanted. What would change something is refused.
template <typename Tensor>
void check_parameters(const Tensor& tensor, const char* harmless) {
  const std::string name = excerpt(tensor.name());
  for (const auto& [key, value] : tensor.parameters()) {
    if (key != harmless) throw invalid_argument(name, name, ".parameters: ", excerpt(key), " is not supported");
  }
}

// Errors: InvalidArgument if the parameter binary_data_size contradicts the raw contents.
void check_raw_size(const ModelInferRequest::InferInputTensor& input, const std::string& raw) {
  const auto size = input.parameters().find("binary_data_size");
  if (size == input.parameters().end()) return;
  const InferParameter& value = size->second;
  const bool fits = value.parameter_choice_case() == InferParameter::kUint64Param
                        ? value.uint64_param() == raw.size()
                        : value.int64_param() == static_cast<int64_t>(raw.size());
  if (fits) return;
  const std::string name = excerpt(input.name());
  throw invalid_argument(name, name, ".parameters: binary_data_size does not match the ", raw.size(),
                         " bytes of raw_input_contents");
}

// The elements of typed contents: bytes and nothing else.
std::vector<std::string> typed_elements(ModelInferRequest::InferInputTensor& input, size_t num_elements) {
  const std::string name = excerpt(input.name());
  inference::InferTensorContents& contents = *input.mutable_contents();
  if (static_cast<size_t>(contents.bytes_contents_size()) != num_elements) {
    throw invalid_argument(name, name, ": bytes_contents must have ", num_elements, " elements as the shape says, has ",
                           contents.bytes_contents_size());
  }
  if (contents.bool_contents_size() + contents.int_contents_size() + contents.int64_contents_size() +
          contents.uint_contents_size() + contents.uint64_contents_size() + contents.fp32_contents_size() +
          contents.fp64_contents_size() >
      0) {
    throw invalid_argument(name, name, ": contents of another type beside bytes_contents");
  }
  return {std::make_move_iterator(contents.mutable_bytes_contents()->begin()),
          std::make_move_iterator(contents.mutable_bytes_contents()->end())};
}

void read_inputs(InferRequest& request, ModelInferRequest& message, int max_batch) {
  const int num_raw = message.raw_input_contents_size();
  if (num_raw > 0 && num_raw != message.inputs_size()) {
    throw invalid_argument("raw_input_contents", "raw_input_contents: has ", num_raw, " entries for ",
                           message.inputs_size(), " inputs");
  }
  for (int i = 0; i < message.inputs_size(); ++i) {
    ModelInferRequest::InferInputTensor& input = *message.mutable_inputs(i);
    const InferTensorHead head{input.name(), input.datatype(), {input.shape().begin(), input.shape().end()}};
    const size_t num_elements = check_input(head, max_batch);
    check_parameters(input, "binary_data_size");
    if (num_raw == 0) {
      set_input(request, head, typed_elements(input, num_elements));
      continue;
    }
    if (input.has_contents()) {
      throw invalid_argument(head.name, head.name, ": has contents beside raw_input_contents; only one may be used");
    }
    check_raw_size(input, message.raw_input_contents(i));
    set_input(request, head, split_bytes_tensor(message.raw_input_contents(i), num_elements, head.name));
    message.mutable_raw_input_contents(i)->clear();
  }
}

void set_tensor(inference::ModelMetadataResponse::TensorMetadata& tensor, const char* name) {
  tensor.set_name(name);
  tensor.set_datatype(kBytesDatatype);
  tensor.add_shape(1);
}

template <typename Tensor>
void set_config_tensor(Tensor& tensor, const char* name) {
  tensor.set_name(name);
  tensor.set_data_type(inference::TYPE_STRING);
  tensor.add_dims(1);
}

void set_counter(inference::StatisticDuration& message, const InferCounter& counter) {
  message.set_count(counter.count);
  message.set_ns(counter.ns);
}

}  // namespace

InferRequest infer_request_from(ModelInferRequest& message, int max_batch) {
  InferRequest request;
  request.model_name = message.model_name();
  request.model_version = message.model_version();
  request.id = message.id();
  InferParameterMap map;
  for (const auto& [name, parameter] : message.parameters()) map.emplace(name, value_of(name, parameter));
  request.parameters = read_infer_parameters(map);
  read_inputs(request, message, max_batch);
  std::vector<std::string> outputs;
  for (const auto& output : message.outputs()) {
    outputs.push_back(output.name());
    check_parameters(output, "binary_data");
  }
  check_outputs(outputs);
  return request;
}

inference::ModelInferResponse infer_message(const InferHead& head) {
  inference::ModelInferResponse message;
  message.set_model_name(head.model_name);
  if (head.model_version > 0) message.set_model_version(std::to_string(head.model_version));
  message.set_id(head.id);
  return message;
}

void add_answer(inference::ModelInferResponse& message, const std::vector<std::string>& texts,
                const std::vector<int64_t>& shape) {
  auto* output = message.add_outputs();
  output->set_name(kAnswerTensor);
  output->set_datatype(kBytesDatatype);
  for (const int64_t dim : shape) output->add_shape(dim);
  message.add_raw_output_contents(join_bytes_tensor(texts));
}

void add_summary(inference::ModelInferResponse& message, const Summary& summary) {
  auto& parameters = *message.mutable_parameters();
  parameters["finish_reason"].set_string_param(summary.finish_reason == FinishReason::kStop ? "stop" : "length");
  parameters["image_tokens"].set_int64_param(summary.usage.image_tokens);
  parameters["prompt_tokens"].set_int64_param(summary.usage.prompt_tokens);
  parameters["completion_tokens"].set_int64_param(summary.usage.completion_tokens);
  parameters["cached_tokens"].set_int64_param(summary.usage.cached_tokens);
}

void set_final(inference::ModelInferResponse& message, bool final) {
  (*message.mutable_parameters())["triton_final_response"].set_bool_param(final);
}

inference::ModelMetadataResponse metadata_message(const ServedModel& model) {
  inference::ModelMetadataResponse message;
  message.set_name(model.name);
  message.add_versions(model.version());
  message.set_platform(kInferPlatform);
  set_tensor(*message.add_inputs(), kImageTensor);
  set_tensor(*message.add_inputs(), kQuestionTensor);
  set_tensor(*message.add_outputs(), kAnswerTensor);
  return message;
}

inference::ModelConfig config_message(const ServedModel& model) {
  inference::ModelConfig message;
  message.set_name(model.name);
  message.set_platform(kInferPlatform);
  message.set_backend(kInferPlatform);
  message.mutable_version_policy()->mutable_latest()->set_num_versions(1);
  message.set_max_batch_size(0);
  set_config_tensor(*message.add_input(), kImageTensor);
  set_config_tensor(*message.add_input(), kQuestionTensor);
  set_config_tensor(*message.add_output(), kAnswerTensor);
  message.mutable_model_transaction_policy()->set_decoupled(model.decoupled);
  return message;
}

inference::ModelStatistics statistics_message(const ServedModel& model, const InferCounts& counts) {
  inference::ModelStatistics message;
  message.set_name(model.name);
  message.set_version(model.version());
  message.set_last_inference(counts.last_inference_ms);
  message.set_inference_count(counts.inferences);
  message.set_execution_count(counts.inferences);
  inference::InferStatistics& stats = *message.mutable_inference_stats();
  set_counter(*stats.mutable_success(), counts.success);
  set_counter(*stats.mutable_fail(), counts.fail);
  set_counter(*stats.mutable_queue(), counts.queue);
  set_counter(*stats.mutable_compute_input(), counts.compute_input);
  set_counter(*stats.mutable_compute_infer(), counts.compute_infer);
  set_counter(*stats.mutable_compute_output(), counts.compute_output);
  set_counter(*stats.mutable_cache_hit(), {});
  set_counter(*stats.mutable_cache_miss(), {});
  return message;
}

}  // namespace sf::server
