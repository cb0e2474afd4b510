// The objects of the Open Inference Protocol over HTTP, as JSON text, with the keys that Triton's clients look for.
//
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "server/kserve/infer_request.h"
#include "server/kserve/infer_statistics.h"
#include "server/kserve/model_repository.h"
#include "server/kserve/model_spec.h"

namespace sf::server {

// {"name", "version", "extensions"}
std::string infer_server_json(const std::string& program_version);
// {"name", "versions", "platform", "inputs", "outputs"}
std::string infer_model_json(const ServedModel& model);
// Triton's model configuration: max_batch_size 0 (shapes carry no batch) and model_transaction_policy.
std::string infer_config_json(const ServedModel& model);
// {"model_stats": [...]}. All keys are always there: perf_analyzer crashes on a missing one.
std::string infer_statistics_json(const std::vector<ServedModel>& models, const InferStatistics& statistics);
// [{"name", "version", "state", "reason"}]
std::string infer_index_json(const std::vector<RepositoryEntry>& index);
// {"name", "version", "state"} after a load or unload; `version` 0: nothing is served.
std::string repository_change_json(const std::string& name, int64_t version);

// The body of an answered request. With `binary` the tensor's bytes follow the JSON text, whose size is `json_bytes`.
struct InferBody {
  std::string text;
  size_t json_bytes = 0;
};
InferBody infer_answer_body(const InferHead& head, const std::vector<std::string>& answers, const Summary& summary,
                            bool binary);

// Triton's generate extension: {"model_name", "model_version", "ANSWER"}; a delta of a stream, and an end (whole
// answers, in a list where there are several, or a stream's last event, whose ANSWER is empty).
std::string generate_delta_json(const InferHead& head, const std::string& delta);
std::string generate_end_json(const InferHead& head, const std::vector<std::string>& answers, const Summary& summary,
                              bool streamed);

}  // namespace sf::server
