#include "server/grpc/kserve_service.h"

#include <grpcpp/support/method_handler.h>

#include <chrono>

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

void check_repository_name(const std::string& name) {
  if (!name.empty())
    throw invalid_argument("repository_name", "repository_name: there is one repository, without a name");
}

using RepositoryParameters = google::protobuf::Map<std::string, inference::ModelRepositoryParameter>;

void check_parameters(RepositoryChange change, const RepositoryParameters& parameters) {
  for (const auto& [name, value] : parameters) {
    check_repository_parameter(change, name);
    // The one that is taken.
    if (!value.has_bool_param()) throw invalid_argument(name, name, ": must be true or false");
  }
}

}  // namespace

KserveService::KserveService(const GrpcOptions& options, server::Service& service)
    : options_(options), service_(service) {
  add_query("/inference.GRPCInferenceService/ServerLive", &KserveService::server_live, Access::kPublic);
  add_query("/inference.GRPCInferenceService/ServerReady", &KserveService::server_ready, Access::kPublic);
  add_query("/inference.GRPCInferenceService/ModelReady", &KserveService::model_ready);
  add_query("/inference.GRPCInferenceService/ServerMetadata", &KserveService::server_metadata);
  add_query("/inference.GRPCInferenceService/ModelMetadata", &KserveService::model_metadata);
  add_query("/inference.GRPCInferenceService/ModelConfig", &KserveService::model_config);
  add_query("/inference.GRPCInferenceService/ModelStatistics", &KserveService::statistics);
  add_query("/inference.GRPCInferenceService/RepositoryIndex", &KserveService::index);
  add_change<inference::RepositoryModelLoadRequest, inference::RepositoryModelLoadResponse>(
      "/inference.GRPCInferenceService/RepositoryModelLoad", RepositoryChange::kLoad);
  add_change<inference::RepositoryModelUnloadRequest, inference::RepositoryModelUnloadResponse>(
      "/inference.GRPCInferenceService/RepositoryModelUnload", RepositoryChange::kUnload);
  add_infer();
}

// RpcServiceMethod keeps the pointer: the names live as long as the program.
template <typename Request, typename Response>
void KserveService::add_query(const char* method, Response (KserveService::*query)(const Request&) const,
                              Access access) {
  using Handler = grpc::internal::RpcMethodHandler<KserveService, ByteBuffer, ByteBuffer>;
  const auto handler = [query, access](KserveService* self, grpc::ServerContext* context, const ByteBuffer* bytes,
                                       ByteBuffer* response) {
    const std::string id = choose_request_id(offered_request_id(*context));
    context->AddInitialMetadata("x-request-id", id);
    try {
      admit_call(self->options_.keys, *context, access);
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

inference::RepositoryIndexResponse KserveService::index(const inference::RepositoryIndexRequest& request) const {
  check_repository_name(request.repository_name());
  inference::RepositoryIndexResponse response;
  for (const RepositoryEntry& entry : repository_index(service_, request.ready())) {
    auto* model = response.add_models();
    model->set_name(entry.name);
    model->set_version(entry.version);
    model->set_state(entry.state);
    model->set_reason(entry.reason);
  }
  return response;
}

template <typename Request, typename Response>
void KserveService::add_change(const char* method, RepositoryChange change) {
  using Handler = grpc::internal::RpcMethodHandler<KserveService, ByteBuffer, ByteBuffer>;
  const auto handler = [change](KserveService* self, grpc::ServerContext* context, const ByteBuffer* bytes,
                                ByteBuffer* response) {
    *response = serialize_message(Response());
    return self->change(*context, change, [&] {
      Request request;
      parse_message(*bytes, request);
      check_repository_name(request.repository_name());
      check_parameters(change, request.parameters());
      return request.model_name();
    });
  };
  AddMethod(new RpcServiceMethod(method, RpcMethod::NORMAL_RPC, new Handler(handler, this)));
}

grpc::Status KserveService::change(grpc::ServerContext& context, RepositoryChange change,
                                   const std::function<std::string()>& read_model) {
  const auto begin = std::chrono::steady_clock::now();
  const RequestIds ids{choose_request_id(offered_request_id(context)), trace_of(context)};
  context.AddInitialMetadata("x-request-id", ids.request);
  grpc::Status status = grpc::Status::OK;
  int64_t served = 0;
  try {
    admit_call(options_.keys, context, Access::kAdmin);
    if (options_.keys == nullptr) throw repository_is_admin();
    served = change_repository(service_, change, read_model());
  } catch (...) {
    const Error error = thrown_error();
    if (error.code() == Code::kUnauthenticated || error.code() == Code::kPermissionDenied) return refuse(ids);
    status = grpc_status(error, ids.request, service_.retry_after_seconds());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  service_.record_finished("admin", grpc_code_name(status.error_code()), ids, served, nullptr, elapsed.count());
  return status;
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
