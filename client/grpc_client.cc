#include <grpcpp/grpcpp.h>

#include "client/admin_messages.h"
#include "client/client.h"
#include "client/explain_messages.h"
#include "client/grpc_health.h"
#include "sparsefusion/rpc/status.pb.h"
#include "sparsefusion/v1/admin.grpc.pb.h"
#include "sparsefusion/v1/vqa.grpc.pb.h"

namespace sf::client {
namespace {

namespace wire = sparsefusion::v1;

wire::AnswerRequest message_of(const Question& question) {
  wire::AnswerRequest message;
  message.set_image(question.image);
  message.set_question(question.question);
  if (question.max_tokens) message.set_max_tokens(*question.max_tokens);
  if (question.temperature) message.set_temperature(*question.temperature);
  if (question.top_p) message.set_top_p(*question.top_p);
  if (question.top_k) message.set_top_k(*question.top_k);
  if (question.seed) message.set_seed(*question.seed);
  for (const std::string& stop : question.stop) message.add_stop(stop);
  for (const std::string& choice : question.choices) message.add_choices(choice);
  if (question.batch) message.set_priority(wire::PRIORITY_BATCH);
  if (question.timeout_ms) message.set_timeout_ms(*question.timeout_ms);
  message.set_model(question.model);
  return message;
}

Answer answer_of(const wire::AnswerResponse& message) {
  std::vector<Answer::Choice> choices;
  for (const wire::Choice& choice : message.choices()) choices.push_back({choice.text(), choice.probability()});
  return {.id = message.id(),
          .answer = message.answer(),
          .model = message.model(),
          .finish_reason = message.finish_reason() == wire::FINISH_REASON_LENGTH ? "length" : "stop",
          .model_version = message.model_version(),
          .image_tokens = message.usage().image_tokens(),
          .prompt_tokens = message.usage().prompt_tokens(),
          .completion_tokens = message.usage().completion_tokens(),
          .cached_tokens = message.usage().cached_tokens(),
          .assigned_tokens = message.moe().assigned_tokens(),
          .overflow_tokens = message.moe().overflow_tokens(),
          .queue_ms = message.timings().queue_ms(),
          .image_ms = message.timings().image_ms(),
          .prefill_ms = message.timings().prefill_ms(),
          .decode_ms = message.timings().decode_ms(),
          .total_ms = message.timings().total_ms(),
          .choices = std::move(choices)};
}

const char* code_name(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? kNames[code] : "UNKNOWN";
}

// google.rpc.RetryInfo among the status's details.
std::optional<int64_t> retry_after_ms(const grpc::Status& status) {
  sparsefusion::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& detail : details.details()) {
    sparsefusion::rpc::RetryInfo retry;
    if (detail.type_url().ends_with("/google.rpc.RetryInfo") && retry.ParseFromString(detail.value())) {
      return retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1000000;
    }
  }
  return std::nullopt;
}

void require(const grpc::Status& status) {
  if (status.ok()) return;
  throw ClientError(code_name(status.error_code()), status.error_message(), 0, retry_after_ms(status));
}

std::shared_ptr<grpc::ChannelCredentials> credentials_of(const ConnectOptions& options) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  const auto pem = [](const std::string& path) { return path.empty() ? std::string() : read_file(path); };
  grpc::SslCredentialsOptions credentials;
  credentials.pem_root_certs = pem(options.ca_file);
  credentials.pem_cert_chain = pem(options.cert_file);
  credentials.pem_private_key = pem(options.key_file);
  return grpc::SslCredentials(credentials);
}

class GrpcClient final : public Client {
 public:
  GrpcClient(const std::string& target, const ConnectOptions& options)
      : options_(options),
        channel_(make_channel(target, options)),
        stub_(wire::VisualQuestionAnswering::NewStub(channel_)),
        admin_(wire::ModelAdmin::NewStub(channel_)) {}

  Answer ask(const Question& question) override {
    require_connected();
    grpc::ClientContext context;
    prepare(context, question);
    wire::AnswerResponse response;
    require(stub_->Answer(&context, message_of(question), &response));
    return answer_of(response);
  }

  Answer ask_stream(const Question& question, const OnDelta& on_delta) override {
    require_connected();
    grpc::ClientContext context;
    prepare(context, question);
    const auto reader = stub_->StreamAnswer(&context, message_of(question));
    std::optional<Answer> answer;
    wire::StreamAnswerResponse event;
    while (reader->Read(&event)) {
      if (event.has_answer()) answer = answer_of(event.answer());
      if (event.event_case() == wire::StreamAnswerResponse::kDelta && !on_delta(event.delta())) context.TryCancel();
    }
    require(reader->Finish());
    if (!answer) throw ClientError("UNAVAILABLE", "the stream ended before the answer did");
    return *answer;
  }

  Explained explain(const ExplainQuestion& question) override {
    require_connected();
    wire::ExplainRequest message;
    set_explain_options(question, message);
    *message.mutable_question() = message_of(question.question);
    grpc::ClientContext context;
    prepare(context, question.question);
    wire::ExplainResponse response;
    require(stub_->Explain(&context, message, &response));
    return explained_of(response);
  }

  bool is_healthy(bool ready) override { return check_grpc_health(channel_, options_.connect_timeout_ms, ready); }

  std::vector<Model> models() override {
    throw ClientError("UNIMPLEMENTED", "the list of models is served over REST: give --server");
  }

  std::vector<ModelVersion> versions() override {
    wire::ListVersionsResponse response;
    call(&wire::ModelAdmin::Stub::ListVersions, wire::ListVersionsRequest(), response);
    return versions_of(response);
  }

  ExpertTable experts() override {
    wire::ExpertStatsResponse response;
    call(&wire::ModelAdmin::Stub::ExpertStats, wire::ExpertStatsRequest(), response);
    return experts_of(response);
  }

  int64_t tell(VersionCommand command, int64_t version) override {
    wire::VersionsResponse response;
    wire::LoadVersionRequest load;
    load.set_version(version);
    wire::PinRequest pin;
    pin.set_version(version);
    switch (command) {
      case VersionCommand::kLoad:
        call(&wire::ModelAdmin::Stub::LoadVersion, load, response);
        break;
      case VersionCommand::kPin:
        call(&wire::ModelAdmin::Stub::Pin, pin, response);
        break;
      case VersionCommand::kUnpin:
        call(&wire::ModelAdmin::Stub::Unpin, wire::UnpinRequest(), response);
        break;
      case VersionCommand::kRollback:
        call(&wire::ModelAdmin::Stub::Rollback, wire::RollbackRequest(), response);
        break;
    }
    return response.version();
  }

 private:
  template <typename Method, typename Request, typename Response>
  void call(Method method, const Request& request, Response& response) {
    require_connected();
    grpc::ClientContext context;
    add_key(context);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(options_.read_timeout_ms));
    require((admin_.get()->*method)(&context, request, &response));
  }

  static std::shared_ptr<grpc::Channel> make_channel(const std::string& target, const ConnectOptions& options) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(64 << 20);
    // A channel of its own, so that several clients in one process are several connections.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(target, credentials_of(options), arguments);
  }

  void require_connected() const {
    const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(options_.connect_timeout_ms);
    if (channel_->WaitForConnected(deadline)) return;
    throw ClientError("UNAVAILABLE", options_.tls ? "no gRPC server answers over TLS with a certificate that is trusted"
                                                  : "no gRPC server answers");
  }

  void add_key(grpc::ClientContext& context) const {
    if (!options_.api_key.empty()) context.AddMetadata("authorization", "Bearer " + options_.api_key);
  }

  void prepare(grpc::ClientContext& context, const Question& question) const {
    add_key(context);
    // The server's own deadline comes first, so that its error arrives.
    const int64_t patience_ms = question.timeout_ms ? *question.timeout_ms + 1000 : options_.read_timeout_ms;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(patience_ms));
    if (!question.request_id.empty()) context.AddMetadata("x-request-id", question.request_id);
  }

  const ConnectOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<wire::VisualQuestionAnswering::Stub> stub_;
  const std::unique_ptr<wire::ModelAdmin::Stub> admin_;
};

}  // namespace

std::unique_ptr<Client> make_grpc_client(const std::string& target, const ConnectOptions& options) {
  return std::make_unique<GrpcClient>(target, options);
}

}  // namespace sf::client
