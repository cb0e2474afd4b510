#include "server/grpc/kserve_service.h"

#include <chrono>

#include "server/grpc/grpc_errors.h"
#include "server/grpc/infer_stream.h"
#include "server/grpc/message_buffer.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

using grpc::ByteBuffer;

// Of a question after the server's health: parsed on gRPC's own threads, so it has to be small.
constexpr size_t kMaxHealthBytes = 4096;

std::string path_of(const char* method) { return concat("/", KserveService::kName, "/", method); }

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

template <typename Request>
class HealthHandler final : public CallHandler {
 public:
  using Answer = std::function<ByteBuffer(const Request&)>;
  HealthHandler(GrpcCall& call, const Answer& answer) : call_(call), answer_(answer) {}

  void on_message(ByteBuffer message) override {
    try {
      Request request;
      parse_message(message, request, kMaxHealthBytes);
      call_.write_last(answer_(request));
    } catch (...) {
      call_.finish(grpc_status(thrown_error(), call_.id(), 1));
    }
  }
  void on_half_close() override { call_.finish(grpc::Status(grpc::INVALID_ARGUMENT, "the call has no message")); }

 private:
  GrpcCall& call_;
  const Answer& answer_;  // the method's, which lives as long as the server
};

}  // namespace

void KserveService::register_methods(CallRouter& router) {
  add_health(router, "ServerLive", &KserveService::server_live);
  add_health(router, "ServerReady", &KserveService::server_ready);
  add_query(router, "ModelReady", &KserveService::model_ready);
  add_query(router, "ServerMetadata", &KserveService::server_metadata);
  add_query(router, "ModelMetadata", &KserveService::model_metadata);
  add_query(router, "ModelConfig", &KserveService::model_config);
  add_query(router, "ModelStatistics", &KserveService::statistics);
  add_query(router, "RepositoryIndex", &KserveService::index);
  add_change<inference::RepositoryModelLoadRequest, inference::RepositoryModelLoadResponse>(
      router, "RepositoryModelLoad", RepositoryChange::kLoad);
  add_change<inference::RepositoryModelUnloadRequest, inference::RepositoryModelUnloadResponse>(
      router, "RepositoryModelUnload", RepositoryChange::kUnload);
  add_infer(router);
}

template <typename Request, typename Response>
void KserveService::add_query(CallRouter& router, const char* name, Query<Request, Response> query) {
  const auto work = [this, query](GrpcCall& call, const ByteBuffer& bytes, ByteBuffer& response) {
    try {
      Request request;
      parse_message(bytes, request, options_.limits.max_body_bytes);
      response = serialize_message((this->*query)(request));
      log(call);
      return grpc::Status::OK;
    } catch (...) {
      return refuse(call);
    }
  };
  router.add(path_of(name), unary(kInferGrpcApi, Access::kAnyKey, work));
}

template <typename Request, typename Response>
void KserveService::add_health(CallRouter& router, const char* name, Query<Request, Response> query) {
  using Handler = HealthHandler<Request>;
  const auto answer = std::make_shared<const typename Handler::Answer>(
      [this, query](const Request& request) { return serialize_message((this->*query)(request)); });
  Method method;
  method.api = kInferGrpcApi;
  method.access = Access::kPublic;
  method.kind = OpenCalls::Kind::kHealth;
  method.serve = [answer](GrpcCall& call) { return std::make_unique<Handler>(call, *answer); };
  router.add(path_of(name), method);
}

void KserveService::add_infer(CallRouter& router) {
  router.add(path_of("ModelInfer"),
             unary(kInferGrpcApi, Access::kInfer,
                   [this](GrpcCall& call, const ByteBuffer& in, ByteBuffer& out) { return infer(call, in, out); }));
  Method stream;
  stream.api = kInferGrpcApi;
  stream.access = Access::kAnyKey;
  stream.idle_s = options_.infer_stream_idle_s;
  stream.serve = [this](GrpcCall& call) { return std::make_unique<InferStream>(infer_deps_, call, num_streams_); };
  router.add(path_of("ModelStreamInfer"), stream);
}

void KserveService::log(const GrpcCall& call) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.begin();
  service_.log_request({.request_id = call.id(),
                        .api = kInferGrpcApi,
                        .code = grpc_code_name(grpc::OK),
                        .duration_s = elapsed.count(),
                        .trace = call.trace(),
                        .origin = call.origin()});
}

grpc::Status KserveService::refuse(GrpcCall& call) {
  const Error error = thrown_error();
  const int retry_after_s = thrown_retry_after_s(service_.retry_after_seconds());
  refuse_infer_call(error, call.ids(), service_);
  return grpc_status(error, call.id(), retry_after_s);
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
void KserveService::add_change(CallRouter& router, const char* name, RepositoryChange change) {
  const auto work = [this, change](GrpcCall& call, const ByteBuffer& bytes, ByteBuffer& response) {
    response = serialize_message(Response());
    return this->change(call, change, [&] {
      Request request;
      parse_message(bytes, request, options_.limits.max_body_bytes);
      check_repository_name(request.repository_name());
      check_parameters(change, request.parameters());
      return request.model_name();
    });
  };
  router.add(path_of(name), unary(kInferGrpcApi, Access::kAdmin, work));
}

grpc::Status KserveService::change(GrpcCall& call, RepositoryChange change,
                                   const std::function<std::string()>& read_model) {
  grpc::Status status = grpc::Status::OK;
  int64_t served = 0;
  std::string field;
  try {
    if (options_.keys == nullptr) throw repository_is_admin();
    served = change_repository(service_, change, read_model());
  } catch (...) {
    const Error error = thrown_error();
    if (error.code() == Code::kPermissionDenied) return refuse(call);
    field = error.field();
    status = grpc_status(error, call.id(), service_.retry_after_seconds());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.begin();
  service_.record_finished("admin", grpc_code_name(status.error_code()), call.ids(field), served, nullptr,
                           elapsed.count());
  return status;
}

grpc::Status KserveService::infer(GrpcCall& call, const ByteBuffer& bytes, ByteBuffer& response) {
  InferCall infer;
  infer.id = call.id();
  infer.tenant = call.tenant();
  try {
    read_infer_call(infer, bytes, call, infer_deps_);
    if (infer.decoupled) {
      throw invalid_argument("model_name", "model_name: ", infer.head.model_name, " is decoupled: ask ",
                             infer.batch.common().model, ", or use ModelStreamInfer");
    }
  } catch (...) {
    return refuse(call);
  }
  try {
    submit_infer_call(infer, service_);
  } catch (...) {
    return fail(call, infer, thrown_error());
  }
  call.add_initial_metadata("x-model-version", std::to_string(infer.head.model_version));
  const InferResult result =
      wait_for_answers(infer.answers, options_.poll_interval_ms, [&] { return call.is_unwanted(); });
  if (result.error) return fail(call, infer, *result.error);
  inference::ModelInferResponse message = infer_message(infer.head);
  add_answer(message, result.texts, infer.head.shape);
  add_summary(message, *result.summary);
  response = serialize_message(message);
  finish_infer_call(infer, *result.summary, infer_deps_);
  return grpc::Status::OK;
}

grpc::Status KserveService::fail(GrpcCall& call, const InferCall& infer, const Error& error) {
  const Error reason = call.is_unwanted() ? call.unwanted_error() : error;
  fail_infer_call(infer, reason, infer_deps_);
  return grpc_status(reason, call.id(), service_.retry_after_seconds());
}

}  // namespace sf::server
