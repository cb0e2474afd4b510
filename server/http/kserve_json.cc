#include "server/http/kserve_json.h"

#include <nlohmann/json.hpp>

#include "server/kserve/bytes_tensor.h"

namespace sf::server {
namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json tensor(const char* name) { return {{"name", name}, {"datatype", kBytesDatatype}, {"shape", {1}}}; }

json config_tensor(const char* name) { return {{"name", name}, {"data_type", "TYPE_STRING"}, {"dims", {1}}}; }

json counter(const InferCounter& value) { return {{"count", value.count}, {"ns", value.ns}}; }

json statistics_of(const ServedModel& model, const InferCounts& counts) {
  const json none = counter({});
  return {{"name", model.name},
          {"version", model.version()},
          {"last_inference", counts.last_inference_ms},
          {"inference_count", counts.inferences},
          {"execution_count", counts.inferences},
          {"inference_stats",
           {{"success", counter(counts.success)},
            {"fail", counter(counts.fail)},
            {"queue", counter(counts.queue)},
            {"compute_input", counter(counts.compute_input)},
            {"compute_infer", counter(counts.compute_infer)},
            {"compute_output", counter(counts.compute_output)},
            {"cache_hit", none},
            {"cache_miss", none}}},
          {"response_stats", json::object()},
          {"batch_stats", json::array()},
          {"memory_usage", json::array()}};
}

json head_json(const InferHead& head) {
  json body = {{"model_name", head.model_name}, {"model_version", std::to_string(head.model_version)}};
  if (!head.id.empty()) body["id"] = head.id;
  return body;
}

json parameters_json(const Summary& summary) {
  return {{"finish_reason", summary.finish_reason == FinishReason::kStop ? "stop" : "length"},
          {"image_tokens", summary.usage.image_tokens},
          {"prompt_tokens", summary.usage.prompt_tokens},
          {"completion_tokens", summary.usage.completion_tokens},
          {"cached_tokens", summary.usage.cached_tokens}};
}

}  // namespace

std::string infer_server_json(const std::string& program_version) {
  return dump({{"name", kInferServerName}, {"version", program_version}, {"extensions", kInferExtensions}});
}

std::string infer_model_json(const ServedModel& model) {
  return dump({{"name", model.name},
               {"versions", json::array({model.version()})},
               {"platform", kInferPlatform},
               {"inputs", json::array({tensor(kImageTensor), tensor(kQuestionTensor)})},
               {"outputs", json::array({tensor(kAnswerTensor)})}});
}

std::string infer_config_json(const ServedModel& model) {
  return dump({{"name", model.name},
               {"platform", kInferPlatform},
               {"backend", kInferPlatform},
               {"version_policy", {{"latest", {{"num_versions", 1}}}}},
               {"max_batch_size", 0},
               {"input", json::array({config_tensor(kImageTensor), config_tensor(kQuestionTensor)})},
               {"output", json::array({config_tensor(kAnswerTensor)})},
               {"model_transaction_policy", {{"decoupled", model.decoupled}}}});
}

std::string infer_statistics_json(const std::vector<ServedModel>& models, const InferStatistics& statistics) {
  json list = json::array();
  for (const ServedModel& model : models) list.push_back(statistics_of(model, statistics.of(model.name)));
  return dump({{"model_stats", list}});
}

std::string infer_index_json(const std::vector<RepositoryEntry>& index) {
  json list = json::array();
  for (const RepositoryEntry& entry : index) {
    list.push_back(
        {{"name", entry.name}, {"version", entry.version}, {"state", entry.state}, {"reason", entry.reason}});
  }
  return dump(list);
}

std::string repository_change_json(const std::string& name, int64_t version) {
  return dump({{"name", name},
               {"version", version == 0 ? "" : std::to_string(version)},
               {"state", version == 0 ? kRepositoryUnavailable : kRepositoryReady}});
}

InferBody infer_answer_body(const InferHead& head, const std::vector<std::string>& answers, const Summary& summary,
                            bool binary) {
  json body = head_json(head);
  body["parameters"] = parameters_json(summary);
  json output = tensor(kAnswerTensor);
  output["shape"] = head.shape;
  std::string raw;
  if (binary) {
    raw = join_bytes_tensor(answers);
    output["parameters"] = {{"binary_data_size", raw.size()}};
  } else {
    output["data"] = answers;
  }
  body["outputs"] = json::array({output});
  InferBody result{dump(body), 0};
  result.json_bytes = result.text.size();
  result.text += raw;
  return result;
}

std::string generate_delta_json(const InferHead& head, const std::string& delta) {
  json body = head_json(head);
  body[kAnswerTensor] = delta;
  return dump(body);
}

std::string generate_end_json(const InferHead& head, const std::vector<std::string>& answers, const Summary& summary,
                              bool streamed) {
  json body = head_json(head);
  if (answers.size() == 1) {
    body[kAnswerTensor] = answers.front();
  } else {
    body[kAnswerTensor] = answers;
  }
  body["parameters"] = parameters_json(summary);
  if (streamed) body["parameters"]["triton_final_response"] = true;
  return dump(body);
}

}  // namespace sf::server
