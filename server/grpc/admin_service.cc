#include "server/grpc/admin_service.h"

#include <chrono>

#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

namespace wire = sparsefusion::v1;
using grpc::ByteBuffer;

wire::VersionState wire_state(VersionState state) {
  switch (state) {
    case VersionState::kServed:
      return wire::VERSION_STATE_SERVED;
    case VersionState::kLoading:
      return wire::VERSION_STATE_LOADING;
    case VersionState::kAvailable:
      return wire::VERSION_STATE_AVAILABLE;
    case VersionState::kQuarantined:
      return wire::VERSION_STATE_QUARANTINED;
    case VersionState::kRetired:
      return wire::VERSION_STATE_RETIRED;
  }
  return wire::VERSION_STATE_UNSPECIFIED;
}

template <typename Response>
void add_versions(const std::vector<VersionStatus>& versions, Response& response) {
  for (const VersionStatus& status : versions) {
    wire::Version& row = *response.add_versions();
    row.set_version(status.version);
    row.set_state(wire_state(status.state));
    row.set_reason(status.reason);
    row.set_message(status.message);
    row.set_pinned(status.pinned);
    row.set_step(status.facts.step);
    row.set_created_unix(status.facts.created_unix);
    row.set_digest(status.facts.digest);
    if (status.facts.score) row.set_score(*status.facts.score);
    row.set_evaluation_id(status.facts.evaluation_id);
  }
}

ByteBuffer after_command(const ModelAdmin& admin, int64_t served) {
  wire::VersionsResponse response;
  response.set_version(served);
  add_versions(admin.versions(), response);
  return serialize_message(response);
}

ByteBuffer list_versions(ModelAdmin& admin, const wire::ListVersionsRequest&) {
  wire::ListVersionsResponse response;
  add_versions(admin.versions(), response);
  return serialize_message(response);
}

ByteBuffer load(ModelAdmin& admin, const wire::LoadVersionRequest& request) {
  if (request.version() < 1) throw invalid_argument("version", "version: must be at least 1, got ", request.version());
  return after_command(admin, admin.load(request.version()));
}

ByteBuffer pin(ModelAdmin& admin, const wire::PinRequest& request) {
  if (request.version() < 0)
    throw invalid_argument("version", "version: must not be negative, got ", request.version());
  return after_command(admin, admin.pin(request.version()));
}

ByteBuffer unpin(ModelAdmin& admin, const wire::UnpinRequest&) { return after_command(admin, admin.unpin()); }

ByteBuffer roll_back(ModelAdmin& admin, const wire::RollbackRequest&) { return after_command(admin, admin.rollback()); }

void set_load(const ExpertLoad& load, wire::ModalityLoad& message) {
  message.set_tokens(load.tokens);
  message.set_gate_mass(load.gate_mass);
  message.set_overflow_tokens(load.overflow_tokens);
}

ByteBuffer expert_stats(ModelAdmin& admin, const wire::ExpertStatsRequest&) {
  const std::optional<ExpertLoads> loads = admin.expert_loads();
  if (!loads) throw Error(Code::kUnavailable, "no model is loaded", "", Reason::kDraining);
  wire::ExpertStatsResponse response;
  response.set_model_version(loads->version);
  for (const LayerLoad& layer : loads->layers) {
    wire::LayerStats& stats = *response.add_layers();
    for (const auto& expert : layer.experts) {
      wire::ExpertLoad& load = *stats.add_experts();
      set_load(expert[kImageModality], *load.mutable_image());
      set_load(expert[kTextModality], *load.mutable_text());
    }
    if (!layer.window) continue;
    wire::ExpertWindow& window = *stats.mutable_window();
    window.set_router_entropy_nats(layer.window->entropy_nats);
    window.set_load_imbalance_ratio(layer.window->imbalance);
    window.set_dead_experts(layer.window->dead_experts);
    if (layer.window->drift_js) window.set_routing_drift_js(*layer.window->drift_js);
  }
  return serialize_message(response);
}

}  // namespace

void AdminService::register_methods(CallRouter& router) {
  add<wire::ListVersionsRequest>(router, "ListVersions", Access::kAnyKey, list_versions);
  add<wire::ExpertStatsRequest>(router, "ExpertStats", Access::kAnyKey, expert_stats);
  if (options_.keys == nullptr) return;
  add<wire::LoadVersionRequest>(router, "LoadVersion", Access::kAdmin, load);
  add<wire::PinRequest>(router, "Pin", Access::kAdmin, pin);
  add<wire::UnpinRequest>(router, "Unpin", Access::kAdmin, unpin);
  add<wire::RollbackRequest>(router, "Rollback", Access::kAdmin, roll_back);
}

template <typename Request>
void AdminService::add(CallRouter& router, const char* name, Access access, Handler<Request> handler) {
  const auto work = [this, handler](GrpcCall& call, const ByteBuffer& bytes, ByteBuffer& response) {
    return run(call, response, [&](ModelAdmin& admin) {
      Request message;
      parse_message(bytes, message, options_.limits.max_body_bytes);
      return handler(admin, message);
    });
  };
  router.add(concat("/", kName, "/", name), unary("grpc", access, work));
}

grpc::Status AdminService::run(GrpcCall& call, ByteBuffer& response,
                               const std::function<ByteBuffer(ModelAdmin&)>& work) {
  grpc::Status status = grpc::Status::OK;
  std::string field;
  try {
    ModelAdmin* const admin = service_.admin();
    if (admin == nullptr) throw Error(Code::kUnimplemented, "this server has no versions");
    response = work(*admin);
  } catch (...) {
    const Error error = thrown_error();
    field = error.field();
    status = grpc_status(error, call.id(), service_.retry_after_seconds());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.begin();
  service_.record_finished("admin", grpc_code_name(status.error_code()), call.ids(field), 0, nullptr, elapsed.count());
  return status;
}

}  // namespace sf::server
