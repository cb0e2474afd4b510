#include "server/grpc/kserve_service.h"

#include <grpcpp/support/method_handler.h>

#include "server/grpc/call_guard.h"
#include "server/grpc/grpc_call.h"
#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/guard/request_id.h"
#include "server/guard/thrown_error.h"
#include "server/service/wait_for_answer.h"

namespace sf::server {
namespace {

using grpc::ByteBuffer;
using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;

// Adds one to a count for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count), value_(++count) {}
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int value() const { return value_; }

 private:
  std::atomic<int>& count_;
  const int value_;
};

}  // namespace

KserveService::KserveService(const GrpcOptions& options, server::Service& service)
    : options_(options), service_(service) {
  add_query("/inference.GRPCInferenceService/ServerLive", &KserveService::server_live);
  add_query("/inference.GRPCInferenceService/ServerReady", &KserveService::server_ready);
  add_query("/inference.GRPCInferenceService/ModelReady", &KserveService::model_ready);
  add_query("/inference.GRPCInferenceService/ServerMetadata", &KserveService::server_metadata);
  add_query("/inference.GRPCInferenceService/ModelMetadata", &KserveService::model_metadata);
  add_query("/inference.GRPCInferenceService/ModelConfig", &KserveService::model_config);
  add_query("/inference.GRPCInferenceService/ModelStatistics", &KserveService::statistics);
  add_query("/inference.GRPCInferenceService/RepositoryIndex", &KserveService::index);
  add_query("/inference.GRPCInferenceService/RepositoryModelLoad", &KserveService::load);
  add_query("/inference.GRPCInferenceService/RepositoryModelUnload", &KserveService::unload);
  add_infer();
}

// RpcServiceMethod keeps the pointer: the names live as long as the program.
template <typename Request, typename Response>
void KserveService::add_query(const char* method, Response (KserveService::*query)(const Request&) const) {
  using Handler = grpc::internal::RpcMethodHandler<KserveService, ByteBuffer, ByteBuffer>;
  const auto handler = [query](KserveService* self, grpc::ServerContext* context, const ByteBuffer* bytes,
                               ByteBuffer* response) {
    const std::string id = choose_request_id(offered_request_id(*context));
    context->AddInitialMetadata("x-request-id", id);
    try {
      admit_call(self->options_.keys, *context, Access::kAnyKey);
      Request request;
      parse_message(*bytes, request);
      *response = serialize_message((self->*query)(request));
      return grpc::Status::OK;
    } catch (...) {
      return self->refuse({id, trace_of(*context)});
    }
  };
  AddMethod(new RpcServiceMethod(method, RpcMethod::NORMAL_RPC, new Handler(handler, this)));
}

void KserveService::add_infer() {
  using Unary = grpc::internal::RpcMethodHandler<KserveService, ByteBuffer, ByteBuffer>;
  using Bidi = grpc::internal::BidiStreamingHandler<KserveService, ByteBuffer, ByteBuffer>;
  const auto unary = [](KserveService* self, grpc::ServerContext* context, const ByteBuffer* request,
                        ByteBuffer* response) { return self->infer(*context, *request, *response); };
  const auto bidi = [](KserveService* self, grpc::ServerContext* context, InferStream::Stream* stream) {
    return self->stream_infer(*context, *stream);
  };
  AddMethod(new RpcServiceMethod("/inference.GRPCInferenceService/ModelInfer", RpcMethod::NORMAL_RPC,
                                 new Unary(unary, this)));
  AddMethod(new RpcServiceMethod("/inference.GRPCInferenceService/ModelStreamInfer", RpcMethod::BIDI_STREAMING,
                                 new Bidi(bidi, this)));
}

grpc::Status KserveService::refuse(const RequestIds& ids) {
  return refuse(thrown_error(), ids, thrown_retry_after_s(service_.retry_after_seconds()));
}

grpc::Status KserveService::refuse(const Error& error, const RequestIds& ids, int retry_after_s) {
  refuse_infer_call(error, ids, service_);
  return grpc_status(error, ids.request, retry_after_s);
}

inference::ServerLiveResponse KserveService::server_live(const inference::ServerLiveRequest&) const {
  inference::ServerLiveResponse response;
  response.set_live(service_.health().live);
  return response;
}

inference::ServerReadyResponse KserveService::server_ready(const inference::ServerReadyRequest&) const {
  inference::ServerReadyResponse response;
  response.set_ready(service_.health().ready);
  return response;
}

inference::ModelReadyResponse KserveService::model_ready(const inference::ModelReadyRequest& request) const {
  inference::ModelReadyResponse response;
  if (!service_.health().ready) return response;
  for (const ServedModel& model : served_models(service_)) {
    const bool wanted = request.version().empty() || request.version() == model.version();
    if (model.name == request.name() && wanted) response.set_ready(true);
  }
  return response;
}

inference::ServerMetadataResponse KserveService::server_metadata(const inference::ServerMetadataRequest&) const {
  inference::ServerMetadataResponse response;
  response.set_name(kInferServerName);
  response.set_version(options_.program_version);
  for (const char* extension : kInferExtensions) response.add_extensions(extension);
  return response;
}

inference::ModelMetadataResponse KserveService::model_metadata(const inference::ModelMetadataRequest& request) const {
  return metadata_message(find_served_model(service_, request.name(), request.version()));
}

inference::ModelConfigResponse KserveService::model_config(const inference::ModelConfigRequest& request) const {
  inference::ModelConfigResponse response;
  *response.mutable_config() = config_message(find_served_model(service_, request.name(), request.version()));
  return response;
}

inference::ModelStatisticsResponse KserveService::statistics(const inference::ModelStatisticsRequest& request) const {
  std::vector<ServedModel> models;
  if (request.name().empty()) {
    models = served_models(service_);
  } else {
    models.push_back(find_served_model(service_, request.name(), request.version()));
  }
  inference::ModelStatisticsResponse response;
  for (const ServedModel& model : models) {
    *response.add_model_stats() = statistics_message(model, options_.infer_statistics->of(model.name));
  }
  return response;
}

inference::RepositoryIndexResponse KserveService::index(const inference::RepositoryIndexRequest&) const {
  inference::RepositoryIndexResponse response;
  for (const ServedModel& model : served_models(service_)) {
    auto* entry = response.add_models();
    entry->set_name(model.name);
    entry->set_version(model.version());
    entry->set_state("READY");
  }
  return response;
}

inference::RepositoryModelLoadResponse KserveService::load(const inference::RepositoryModelLoadRequest&) const {
  throw repository_is_admin();
}

inference::RepositoryModelUnloadResponse KserveService::unload(const inference::RepositoryModelUnloadRequest&) const {
  throw repository_is_admin();
}

grpc::Status KserveService::infer(grpc::ServerContext& context, const ByteBuffer& bytes, ByteBuffer& response) {
  InferCall call;
  call.id = choose_request_id(offered_request_id(context));
  context.AddInitialMetadata("x-request-id", call.id);
  try {
    read_infer_call(call, bytes, context, service_, options_.keys);
    if (call.decoupled) {
      throw invalid_argument("model_name", "model_name: ", call.head.model_name, " is decoupled: ask ",
                             call.answer.model, ", or use ModelStreamInfer");
    }
  } catch (...) {
    return refuse({call.id, call.trace});
  }
  try {
    submit_infer_call(call, service_);
  } catch (...) {
    return fail(call, thrown_error());
  }
  context.AddInitialMetadata("x-model-version", std::to_string(call.head.model_version));
  const auto is_unwanted = [&] { return context.IsCancelled() || stopping_; };
  const WholeAnswer answer = wait_for_answer(*call.stream, options_.poll_interval_ms, is_unwanted);
  if (answer.error) return fail(call, is_unwanted() ? unwanted_error(context, stopping_) : *answer.error);
  inference::ModelInferResponse message = infer_message(call.head);
  add_answer(message, answer.text);
  add_summary(message, *answer.summary);
  response = serialize_message(message);
  record_infer_call(call, "OK", &*answer.summary, service_, *options_.infer_statistics);
  return grpc::Status::OK;
}

grpc::Status KserveService::fail(const InferCall& call, const Error& error) {
  record_infer_call(call, grpc_code_name(error), nullptr, service_, *options_.infer_statistics);
  return grpc_status(error, call.id, service_.retry_after_seconds());
}

grpc::Status KserveService::stream_infer(grpc::ServerContext& context, InferStream::Stream& stream) {
  const std::string id = choose_request_id(offered_request_id(context));
  context.AddInitialMetadata("x-request-id", id);
  const Counted streams(num_streams_);
  if (streams.value() > options_.max_infer_streams) {
    return refuse(Error(Code::kResourceExhausted, concat("more than ", options_.max_infer_streams, " streams are open"),
                        "", Reason::kQueueFull),
                  {id, trace_of(context)}, service_.retry_after_seconds());
  }
  try {
    admit_call(options_.keys, context, Access::kAnyKey);
    return InferStream({options_, service_, *options_.infer_statistics, stopping_}, context, stream).run();
  } catch (...) {
    return refuse({id, trace_of(context)});
  }
}

}  // namespace sf::server
