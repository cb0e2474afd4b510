#include <grpcpp/grpcpp.h>

#include <utility>

#include "inference/grpc_service.grpc.pb.h"
#include "server/kserve/bytes_tensor.h"
#include "tests/integration/ways_to_ask.h"

namespace sf::test {
namespace {

using client::Question;

std::string name_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    default:
      return "gRPC " + std::to_string(code);
  }
}

inference::ModelInferRequest kserve_request(const Question& question, const char* twin) {
  inference::ModelInferRequest request;
  request.set_model_name((question.model.empty() ? "sparsefusion" : question.model) + twin);
  for (const auto& [name, value] : {std::pair("IMAGE", question.image), std::pair("QUESTION", question.question)}) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype("BYTES");
    input->add_shape(1);
    request.add_raw_input_contents(server::join_bytes_tensor({value}));
  }
  auto& parameters = *request.mutable_parameters();
  if (question.max_tokens) parameters["max_tokens"].set_int64_param(*question.max_tokens);
  if (question.temperature) parameters["temperature"].set_double_param(*question.temperature);
  if (question.top_p) parameters["top_p"].set_double_param(*question.top_p);
  if (question.top_k) parameters["top_k"].set_int64_param(*question.top_k);
  if (question.seed) parameters["seed"].set_uint64_param(*question.seed);
  if (!question.stop.empty()) parameters["stop"].set_string_param(question.stop.front());
  return request;
}

Outcome kserve_outcome(const std::string& text, const inference::ModelInferResponse& response) {
  const auto count = [&](const char* name) { return static_cast<int>(response.parameters().at(name).int64_param()); };
  return {.text = text,
          .finish_reason = response.parameters().at("finish_reason").string_param(),
          .version = std::stoll(response.model_version()),
          .image_tokens = count("image_tokens"),
          .prompt_tokens = count("prompt_tokens"),
          .completion_tokens = count("completion_tokens"),
          .cached_tokens = count("cached_tokens")};
}

std::string text_of(const inference::ModelInferResponse& response) {
  if (response.raw_output_contents_size() == 0) return "";
  return server::split_bytes_tensor(response.raw_output_contents(0), 1, "ANSWER").front();
}

Outcome ask_unary(inference::GRPCInferenceService::Stub& stub, const Question& question) {
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  const grpc::Status status = stub.ModelInfer(&context, kserve_request(question, ""), &response);
  return status.ok() ? kserve_outcome(text_of(response), response) : Outcome{.code = name_of(status.error_code())};
}

Outcome ask_stream(inference::GRPCInferenceService::Stub& stub, const Question& question, const char* twin) {
  grpc::ClientContext context;
  const auto stream = stub.ModelStreamInfer(&context);
  stream->Write(kserve_request(question, twin));
  stream->WritesDone();
  std::string text, failure;
  inference::ModelInferResponse last;
  for (inference::ModelStreamInferResponse response; stream->Read(&response);) {
    last = response.infer_response();
    if (!response.error_message().empty()) failure = last.parameters().at("code").string_param();
    text += text_of(last);
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) return {.code = name_of(status.error_code())};
  return failure.empty() ? kserve_outcome(text, last) : Outcome{.code = failure};
}

Outcome native_outcome(const client::Answer& answer) {
  return {.text = answer.answer,
          .finish_reason = answer.finish_reason,
          .version = answer.model_version,
          .image_tokens = answer.image_tokens,
          .prompt_tokens = answer.prompt_tokens,
          .completion_tokens = answer.completion_tokens,
          .cached_tokens = answer.cached_tokens};
}

Outcome ask_native(client::Client& client, const Question& question, bool streamed) {
  try {
    if (!streamed) return native_outcome(client.ask(question));
    std::string text;
    Outcome outcome = native_outcome(client.ask_stream(question, [&](std::string_view delta) {
      text += delta;
      return true;
    }));
    if (outcome.text != text) outcome.text += " and not " + text;
    return outcome;
  } catch (const client::ClientError& error) {
    return {.code = error.code()};
  }
}

}  // namespace

bool operator==(const Outcome& a, const Outcome& b) {
  const bool images = a.image_tokens < 0 || b.image_tokens < 0 || a.image_tokens == b.image_tokens;
  return images && a.code == b.code && a.text == b.text && a.finish_reason == b.finish_reason &&
         a.version == b.version && a.prompt_tokens == b.prompt_tokens && a.completion_tokens == b.completion_tokens &&
         a.cached_tokens == b.cached_tokens;
}

std::ostream& operator<<(std::ostream& out, const Outcome& o) {
  return out << o.code << " '" << o.text << "' v" << o.version << " " << o.finish_reason << " " << o.image_tokens << "/"
             << o.prompt_tokens << "+" << o.completion_tokens << " (" << o.cached_tokens << " cached)";
}

std::vector<Way> ways_over_grpc(const std::string& target) {
  const std::shared_ptr<client::Client> client = client::make_grpc_client(target);
  const auto channel = grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
  const std::shared_ptr stub = inference::GRPCInferenceService::NewStub(channel);
  return {{"gRPC", [client](const Question& q) { return ask_native(*client, q, false); }},
          {"gRPC, streamed", [client](const Question& q) { return ask_native(*client, q, true); }},
          {"KServe gRPC", [stub](const Question& q) { return ask_unary(*stub, q); }},
          {"KServe gRPC, a stream of whole answers", [stub](const Question& q) { return ask_stream(*stub, q, ""); }},
          {"KServe gRPC, streamed",
           [stub](const Question& q) { return ask_stream(*stub, q, q.model.empty() ? "_stream" : ""); }}};
}

std::vector<Way> ways_to_ask(int http_port, const std::string& grpc_target) {
  std::vector<Way> ways = ways_over_rest(http_port);
  for (Way& way : ways_over_grpc(grpc_target)) ways.push_back(std::move(way));
  return ways;
}

}  // namespace sf::test
