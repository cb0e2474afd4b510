#include "tests/support/api_call.h"

#include <grpcpp/grpcpp.h>

#include <future>
#include <string_view>

#include "inference/grpc_service.grpc.pb.h"
#include "server/kserve/bytes_tensor.h"
#include "server/wire/base64.h"
#include "sparsefusion/rpc/status.pb.h"
#include "sparsefusion/v1/vqa.grpc.pb.h"
#include "tests/support/raw_connection.h"

namespace sf::server {
namespace {

namespace wire = sparsefusion::v1;

// --- HTTP ---

std::string quoted(const char* name, const std::string& value) { return concat("\"", name, "\":\"", value, "\""); }

std::string timeout_field(const char* name, const Asked& asked, int64_t factor) {
  return asked.timeout_ms == 0 ? "" : concat(",\"", name, "\":", asked.timeout_ms * factor);
}

std::string http_body(Api api, const Asked& asked) {
  const std::string image = encode_base64(asked.image);
  const std::string stream = is_stream(api) ? ",\"stream\":true" : "";
  const std::string timeout_ms = timeout_field("timeout_ms", asked, 1);
  const std::string parameters =
      concat("\"parameters\":{\"max_tokens\":400", timeout_field("timeout", asked, 1000), "}");
  switch (api) {
    case Api::kRest:
    case Api::kRestStream:
      return concat("{", quoted("image", image), ",", quoted("question", asked.question), ",\"max_tokens\":400", stream,
                    timeout_ms, "}");
    case Api::kChat:
    case Api::kChatStream:
      return concat("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{",
                    quoted("url", "data:image/png;base64," + image), "}},{\"type\":\"text\",",
                    quoted("text", asked.question), "}]}],\"max_tokens\":400", stream, timeout_ms, "}");
    case Api::kInfer:
      return concat("{\"inputs\":[{\"name\":\"IMAGE\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"", image,
                    "\"]},{\"name\":\"QUESTION\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"", asked.question,
                    "\"]}],", parameters, "}");
    default:
      return concat("{", quoted("IMAGE", image), ",", quoted("QUESTION", asked.question), ",", parameters, "}");
  }
}

const char* http_path(Api api) {
  switch (api) {
    case Api::kRest:
    case Api::kRestStream:
      return "/v1/answer";
    case Api::kChat:
    case Api::kChatStream:
      return "/v1/chat/completions";
    case Api::kInfer:
      return "/v2/models/sparsefusion/infer";
    default:
      return "/v2/models/sparsefusion_stream/generate_stream";
  }
}

End end_of_response(const std::string& response) {
  const std::string status = response.substr(0, 12);
  // A stream that had begun says it in its last event.
  if (status == "HTTP/1.1 504" || response.find("deadline") != std::string::npos) return End::kDeadline;
  if (status == "HTTP/1.1 429") return End::kRefused;
  if (status == "HTTP/1.1 503" || response.find("shutting down") != std::string::npos) return End::kUnavailable;
  return status == "HTTP/1.1 200" && response.find("\"error\"") == std::string::npos ? End::kAnswered : End::kOther;
}

class HttpApiCall final : public ApiCall {
 public:
  HttpApiCall(Api api, int port, const Asked& asked) : connection_(port) {
    const std::string body = http_body(api, asked);
    connection_.send(concat("POST ", http_path(api), " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
                            "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
  }
  void wait_for_text() override { begin_ = connection_.read_until("data: "); }
  void hang_up() override { connection_.close(); }
  Outcome finish() override {
    Outcome outcome;
    outcome.text = begin_ + connection_.read_all();
    outcome.end = end_of_response(outcome.text);
    const size_t retry = outcome.text.find("Retry-After: ");
    if (retry != std::string::npos) outcome.retry_after_s = std::stoi(outcome.text.substr(retry + 13));
    return outcome;
  }

 private:
  RawConnection connection_;
  std::string begin_;
};

// --- gRPC ---

Outcome outcome_of(const grpc::Status& status, std::string text) {
  Outcome outcome;
  outcome.text = status.ok() ? std::move(text) : concat(status.error_code(), " ", status.error_message());
  if (status.ok()) outcome.end = End::kAnswered;
  if (status.error_code() == grpc::RESOURCE_EXHAUSTED) outcome.end = End::kRefused;
  if (status.error_code() == grpc::UNAVAILABLE) outcome.end = End::kUnavailable;
  if (status.error_code() == grpc::DEADLINE_EXCEEDED) outcome.end = End::kDeadline;
  sparsefusion::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const auto& detail : details.details()) {
    sparsefusion::rpc::RetryInfo retry;
    if (detail.type_url().ends_with("RetryInfo") && retry.ParseFromString(detail.value())) {
      outcome.retry_after_s = static_cast<int>(retry.retry_delay().seconds());
    }
  }
  return outcome;
}

wire::AnswerRequest answer_request(const Asked& asked) {
  wire::AnswerRequest request;
  request.set_image(asked.image);
  request.set_question(asked.question);
  request.set_max_tokens(400);
  if (asked.timeout_ms > 0) request.set_timeout_ms(asked.timeout_ms);
  return request;
}

inference::ModelInferRequest infer_request(const std::string& model, const Asked& asked) {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  for (const char* name : {"IMAGE", "QUESTION"}) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype("BYTES");
    input->add_shape(1);
  }
  request.add_raw_input_contents(join_bytes_tensor({asked.image}));
  request.add_raw_input_contents(join_bytes_tensor({asked.question}));
  (*request.mutable_parameters())["max_tokens"].set_int64_param(400);
  if (asked.timeout_ms > 0) (*request.mutable_parameters())["timeout"].set_uint64_param(asked.timeout_ms * 1000u);
  return request;
}

// Runs a whole call on a thread of its own. `ask` makes it on the context and gives its outcome.
class UnaryCall final : public ApiCall {
 public:
  explicit UnaryCall(std::function<Outcome(grpc::ClientContext&)> ask)
      : outcome_(std::async(std::launch::async, [this, ask = std::move(ask)] { return ask(context_); })) {}
  void wait_for_text() override {}
  void hang_up() override {
    context_.TryCancel();
    outcome_.wait();
  }
  Outcome finish() override { return outcome_.get(); }

 private:
  grpc::ClientContext context_;
  std::future<Outcome> outcome_;  // last: it waits for the thread when it goes
};

class GrpcStreamCall final : public ApiCall {
 public:
  GrpcStreamCall(const std::shared_ptr<grpc::Channel>& channel, const Asked& asked)
      : stub_(wire::VisualQuestionAnswering::NewStub(channel)),
        reader_(stub_->StreamAnswer(&context_, answer_request(asked))) {}
  ~GrpcStreamCall() override {
    if (!finished_) hang_up();
  }
  void wait_for_text() override { reader_->Read(&event_); }
  void hang_up() override {
    context_.TryCancel();
    finish();
  }
  Outcome finish() override {
    finished_ = true;
    std::string text = event_.delta();
    while (reader_->Read(&event_)) text += event_.delta();
    return outcome_of(reader_->Finish(), text);
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<wire::VisualQuestionAnswering::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<wire::StreamAnswerResponse>> reader_;
  wire::StreamAnswerResponse event_;
  bool finished_ = false;
};

class InferStreamCall final : public ApiCall {
 public:
  InferStreamCall(const std::shared_ptr<grpc::Channel>& channel, const Asked& asked)
      : stub_(inference::GRPCInferenceService::NewStub(channel)) {
    context_.AddMetadata("triton_grpc_error", "true");  // a refusal is the status of the call
    stream_ = stub_->ModelStreamInfer(&context_);
    stream_->Write(infer_request("sparsefusion_stream", asked));
    stream_->WritesDone();
  }
  ~InferStreamCall() override {
    if (!finished_) hang_up();
  }
  void wait_for_text() override { stream_->Read(&event_); }
  void hang_up() override {
    context_.TryCancel();
    finish();
  }
  Outcome finish() override {
    finished_ = true;
    while (stream_->Read(&event_)) continue;
    return outcome_of(stream_->Finish(), "");
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<inference::ModelInferRequest, inference::ModelStreamInferResponse>> stream_;
  inference::ModelStreamInferResponse event_;
  bool finished_ = false;
};

std::unique_ptr<ApiCall> begin_unary(Api api, const std::shared_ptr<grpc::Channel>& channel, const Asked& asked) {
  if (api == Api::kGrpc) {
    return std::make_unique<UnaryCall>([channel, request = answer_request(asked)](grpc::ClientContext& context) {
      wire::AnswerResponse response;
      const grpc::Status status = wire::VisualQuestionAnswering::NewStub(channel)->Answer(&context, request, &response);
      return outcome_of(status, response.answer());
    });
  }
  return std::make_unique<UnaryCall>([channel, request = infer_request("sparsefusion", asked)](auto& context) {
    inference::ModelInferResponse response;
    return outcome_of(inference::GRPCInferenceService::NewStub(channel)->ModelInfer(&context, request, &response), "");
  });
}

}  // namespace

bool is_stream(Api api) {
  return api == Api::kRestStream || api == Api::kChatStream || api == Api::kGenerateStream || api == Api::kGrpcStream ||
         api == Api::kInferGrpcStream;
}

bool is_grpc(Api api) {
  return api == Api::kGrpc || api == Api::kGrpcStream || api == Api::kInferGrpc || api == Api::kInferGrpcStream;
}

const char* name_of(Api api) {
  static constexpr const char* kNames[] = {
      "REST", "SSE",         "chat",        "chat SSE",        "KServe REST", "generate_stream",
      "gRPC", "gRPC stream", "KServe gRPC", "ModelStreamInfer"};
  return kNames[static_cast<size_t>(api)];
}

std::unique_ptr<ApiCall> begin_call(Api api, const BoundPorts& ports, const std::shared_ptr<grpc::Channel>& channel,
                                    const Asked& asked) {
  if (!is_grpc(api)) return std::make_unique<HttpApiCall>(api, ports.http, asked);
  if (api == Api::kGrpcStream) return std::make_unique<GrpcStreamCall>(channel, asked);
  if (api == Api::kInferGrpcStream) return std::make_unique<InferStreamCall>(channel, asked);
  return begin_unary(api, channel, asked);
}

std::shared_ptr<grpc::Channel> connect_grpc(const BoundPorts& ports) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(concat("127.0.0.1:", ports.grpc), grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace sf::server
