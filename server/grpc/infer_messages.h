// Between the Open Inference Protocol's messages and the structs that REST shares.
//
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "server/kserve/infer_request.h"
#include "server/kserve/infer_statistics.h"

namespace sf::server {

// Effect: takes the tensors out of `message`. Errors: InvalidArgument naming the tensor or parameter; raw contents that
// do not match the inputs, or that stand beside typed ones.
InferRequest infer_request_from(inference::ModelInferRequest& message, int max_batch);

// A response without outputs; the two below fill it.
inference::ModelInferResponse infer_message(const InferHead& head);
// Effect: adds ANSWER. Always raw: Triton's C++ client reads raw_output_contents without looking.
void add_answer(inference::ModelInferResponse& message, const std::vector<std::string>& texts,
                const std::vector<int64_t>& shape);
// Effect: finish_reason and token counts as parameters.
void add_summary(inference::ModelInferResponse& message, const Summary& summary);
// Effect: triton_final_response. Clients take a response without it for the last.
void set_final(inference::ModelInferResponse& message, bool final);

inference::ModelMetadataResponse metadata_message(const ServedModel& model);
inference::ModelConfig config_message(const ServedModel& model);
inference::ModelStatistics statistics_message(const ServedModel& model, const InferCounts& counts);

}  // namespace sf::server
