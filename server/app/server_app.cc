#include "server/app/server_app.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <utility>

#include "engine/base/file.h"
#include "engine/base/log.h"
#include "engine/base/machine_fault.h"
#include "engine/base/usable_processors.h"
#include "engine/checkpoint/store.h"
#include "server/app/log_lines.h"
#include "server/app/version.h"
#include "server/grpc/grpc_server.h"
#include "server/http/admin_server.h"
#include "server/http/host_check.h"
#include "server/http/http_server.h"
#include "server/outbound/metric_exporter.h"
#include "server/outbound/remote_images.h"
#include "server/outbound/span_exporter.h"
#include "server/service/answer_service.h"
#include "server/service/fair_gate.h"
#include "server/service/version_admin.h"
#include "server/versions/reloader.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

RequestLimits request_limits(const ServerOptions& options) {
  RequestLimits limits;
  limits.max_body_bytes = static_cast<size_t>(options.max_body_bytes);
  limits.max_image_bytes = static_cast<size_t>(options.max_image_bytes);
  limits.request_timeout_s = std::max<int64_t>(1, static_cast<int64_t>(options.request_timeout_s));
  limits.max_batch = options.max_batch;
  limits.max_queue_requests = options.max_queue_requests;
  return limits;
}

SchedulerOptions scheduler_options(const ServerOptions& options) {
  SchedulerOptions scheduler;
  scheduler.planner.max_batch = options.max_batch;
  scheduler.planner.max_step_tokens = std::max(options.max_step_tokens, options.max_batch);
  scheduler.queue.max_requests = options.max_queue_requests;
  scheduler.queue.max_tokens = options.max_queue_tokens;
  return scheduler;
}

ServiceOptions service_options(const ServerOptions& options) {
  ServiceOptions service;
  service.model_name = options.model_name;
  const int cores = usable_processors();
  service.decode_threads = options.decode_threads > 0 ? options.decode_threads : std::clamp(cores - 1, 1, 4);
  service.max_explain = options.max_explain;
  service.request_timeout_s = options.request_timeout_s;
  service.stall_limit_s = options.stall_limit_s;
  return service;
}

// What every frontend is given of the server's. They outlive the frontends.
struct Shared {
  KeyRing* keys = nullptr;                               // null: nobody needs a key
  std::shared_ptr<const ServerCertificate> certificate;  // null: no TLS
  std::shared_ptr<InferStatistics> infer_statistics;
};

constexpr std::chrono::seconds kFetchPatience(10);

// Waits for the caller's turn, then fetches.
std::string fetch_in_turn(RemoteImages& images, FairGate& gate, const std::string& url, const std::string& field,
                          const FetchCaller& caller) {
  const FairGate::Pass pass = gate.enter({.tenant = caller.tenant,
                                          .deadline = std::chrono::steady_clock::now() + kFetchPatience,
                                          .is_unwanted = caller.is_unwanted});
  switch (pass.outcome()) {
    case GateOutcome::kEntered:
      return images.fetch(url, field);
    case GateOutcome::kUnwanted:
      throw Error(Code::kCancelled, "the client left before its image was fetched");
    case GateOutcome::kBusy:
    case GateOutcome::kLate:
      break;
  }
  throw Error(Code::kResourceExhausted, concat(field, ": other images are being fetched, try again later"), field,
              Reason::kQueueFull);
}

// Null without hosts.
FetchImageFor fetch_image(const ServerOptions& options) {
  if (options.allow_image_hosts.empty()) return nullptr;
  RemoteImageOptions remote;
  remote.hosts = options.allow_image_hosts;
  remote.max_bytes = static_cast<size_t>(options.max_image_bytes);
  auto gate =
      std::make_shared<FairGate>(GateOptions{.places = remote.max_at_once, .max_waiting = 32, .max_waiting_each = 4});
  return [gate, images = std::make_shared<RemoteImages>(std::move(remote))](
             const std::string& url, const std::string& field, const FetchCaller& caller) {
    return fetch_in_turn(*images, *gate, url, field, caller);
  };
}

HttpOptions http_options(const ServerOptions& options, const Shared& shared, std::function<int()> grpc_port) {
  HttpOptions http;
  http.host = options.host;
  http.port = options.http_port;
  http.limits = request_limits(options);
  http.idle_timeout_s = options.idle_timeout_s;
  http.ui = options.ui;
  http.program_version = kProgramVersion;
  http.infer_statistics = shared.infer_statistics;
  http.keys = shared.keys;
  http.allowed_hosts = options.allowed_hosts;
  http.cors_origins = options.cors_origins;
  http.certificate = shared.certificate;
  http.fetch_image = fetch_image(options);
  http.grpc_port = std::move(grpc_port);
  return http;
}

GrpcOptions grpc_options(const ServerOptions& options, const Shared& shared) {
  GrpcOptions grpc;
  grpc.host = options.grpc_host.empty() ? options.host : options.grpc_host;
  grpc.port = options.grpc_port;
  grpc.limits = request_limits(options);
  grpc.program_version = kProgramVersion;
  grpc.infer_statistics = shared.infer_statistics;
  grpc.keys = shared.keys;
  grpc.certificate = shared.certificate;
  return grpc;
}

AdminOptions admin_options(const ServerOptions& options, const Shared& shared) {
  AdminOptions admin;
  admin.host = options.admin_host;
  admin.port = options.admin_port;
  admin.allowed_hosts = options.admin_allowed_hosts;
  admin.idle_timeout_s = options.idle_timeout_s;
  admin.keys = shared.keys;
  if (options.admin_tls) admin.certificate = shared.certificate;
  return admin;
}

ServingDeps serving_deps(const ServerOptions& options, const Clock& clock, Metrics& metrics, DrainRate& drain_rate,
                         const ServerApp::Log& log) {
  ServingDeps deps;
  deps.scheduler = scheduler_options(options);
  deps.clock = &clock;
  deps.metrics = &metrics;
  deps.drain_rate = &drain_rate;
  deps.log_failure = [log](const std::string& id, const std::string& what) { log(failure_log_line(id, what)); };
  return deps;
}

ReloaderOptions reloader_options(const ServerOptions& options) {
  ReloaderOptions reloader;
  reloader.poll_interval_ms = options.poll_interval_ms;
  reloader.max_score_drop = options.max_score_drop;
  reloader.mode = options.reload_mode == "replace" ? ReloadMode::kReplace : ReloadMode::kOverlap;
  if (!is_checkpoint_directory(options.model)) {
    reloader.pin_path =
        options.state_dir.empty() ? fs::path(options.model) / ".pinned" : fs::path(options.state_dir) / "pinned";
  }
  return reloader;
}

std::unique_ptr<KeyRing> make_keys(const ServerOptions& options, const Clock& clock) {
  if (options.api_keys.empty()) return nullptr;
  return std::make_unique<KeyRing>(read_api_keys(options.api_keys), [&clock] { return clock.now_s(); });
}

std::shared_ptr<ServerCertificate> make_certificate(const ServerOptions& options) {
  const TlsFiles files = options.tls_files();
  return files.is_on() ? std::make_shared<ServerCertificate>(files) : nullptr;
}

OtlpSource otlp_source(const ServerOptions& options) {
  static const std::string instance = random_span_id();  // of this process
  return {.name = "sparsefusion-server", .version = kProgramVersion, .instance = instance, .model = options.model_name};
}

std::unique_ptr<MetricExporter> make_metric_exporter(const ServerOptions& options, const Clock& clock,
                                                     Metrics& metrics) {
  const std::string url = metrics_endpoint(options.otlp_endpoint, options.otlp_metrics_endpoint);
  if (url.empty()) return nullptr;
  MetricExporterOptions exporter;
  exporter.endpoint = url;
  exporter.source = otlp_source(options);
  return std::make_unique<MetricExporter>(
      std::move(exporter), [&metrics](const char* result) { metrics.count_metric_export(result); },
      [&clock] { return clock.unix_s(); });
}

std::unique_ptr<SpanExporter> make_spans(const ServerOptions& options, Metrics& metrics) {
  if (options.otlp_endpoint.empty()) return nullptr;
  SpanExporterOptions exporter;
  exporter.endpoint = options.otlp_endpoint;
  exporter.sample_ratio = options.otlp_sample_ratio;
  exporter.source = otlp_source(options);
  return std::make_unique<SpanExporter>(std::move(exporter), [&metrics](const char* result, size_t spans) {
    metrics.count_spans(result, static_cast<double>(spans));
  });
}

ExpertSeries expert_series(const ServerOptions& options) {
  if (options.metrics_experts == "full") return ExpertSeries::kFull;
  if (options.metrics_experts == "layer") return ExpertSeries::kLayer;
  if (options.metrics_experts == "off") return ExpertSeries::kOff;
  return ExpertSeries::kAuto;
}

// Host names as they stand in a URL.
std::string in_url(const std::string& host) {
  if (host == "0.0.0.0" || host == "::") return "127.0.0.1";
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

// In the order of their making; they go in reverse: first the frontends, last what the others use.
struct ServerApp::Parts {
  Parts(const ServerOptions& options, EngineFactory factory, const Log& write)
      : log([this, write](const std::string& line) { write(stamped(line, clock.unix_s())); }),
        metrics(
            {.model = options.model_name, .program_version = kProgramVersion, .expert_series = expert_series(options)}),
        slot([this](const ServingVersion& version) { metrics.retire_version(version.metrics.get(), clock.now_s()); }),
        source(open_checkpoint_source(options.model, std::move(factory))),
        reloader(reloader_options(options), *source, slot, serving_deps(options, clock, metrics, drain_rate, log),
                 [this](const ReloadEvent& event) { log(reload_log_line(event)); }),
        version_admin(reloader, slot),
        spans(make_spans(options, metrics)),
        metric_exporter(make_metric_exporter(options, clock, metrics)),
        service(service_options(options),
                {&slot, &metrics, &drain_rate, &clock, log, &version_admin, spans.get(), on_request()}),
        keys(make_keys(options, clock)),
        certificate(make_certificate(options)),
        http(http_options(options, shared(), [this] { return grpc_port.load(); }), service),
        admin(admin_options(options, shared()), service) {
    if (options.grpc) grpc = std::make_unique<GrpcServer>(grpc_options(options, shared()), service);
  }
  std::function<void(const RequestRecord&)> on_request() const {
    if (!metric_exporter) return {};
    return [exporter = metric_exporter.get()](const RequestRecord& record) { exporter->add(record); };
  }
  Shared shared() const { return {keys.get(), certificate, infer_statistics}; }

  SystemClock clock;
  Log log;
  Metrics metrics;
  DrainRate drain_rate;
  ModelSlot slot;
  std::unique_ptr<VersionSource> source;
  Reloader reloader;
  VersionAdmin version_admin;
  std::unique_ptr<SpanExporter> spans;              // null: none are sent
  std::unique_ptr<MetricExporter> metric_exporter;  // null: likewise
  AnswerService service;
  const std::shared_ptr<InferStatistics> infer_statistics = std::make_shared<InferStatistics>();
  std::unique_ptr<KeyRing> keys;                   // null: nobody needs one
  std::shared_ptr<ServerCertificate> certificate;  // null: no TLS
  std::atomic<int> grpc_port{0};                   // once it is bound
  HttpServer http;
  AdminServer admin;
  std::unique_ptr<GrpcServer> grpc;
};

ServerApp::ServerApp(ServerOptions options, EngineFactory factory, Log log) : options_(std::move(options)) {
  if (!fs::is_directory(options_.model)) {
    throw Error(Code::kNotFound, concat("--model: no such directory: ", options_.model), "model");
  }
  if (!is_checkpoint_directory(options_.model) && !options_.bootstrap_model.empty() &&
      list_versions(options_.model).empty()) {
    bootstrap_store(options_.model, options_.bootstrap_model);
  }
  parts_ = std::make_unique<Parts>(options_, std::move(factory), log);
}

ServerApp::~ServerApp() { stop(); }

void ServerApp::start() {
  if (!parts_->keys && !is_loopback_host(options_.admin_host)) {
    parts_->log(
        trouble_log_line("admin", "whoever reaches the management port may choose the version: see --api-keys"));
  }
  parts_->http.start();
  parts_->admin.start();
  if (parts_->grpc) {
    parts_->grpc->start();
    parts_->grpc_port = parts_->grpc->port();
  }
  load_first_version();
  write_port_file();
}

void ServerApp::load_first_version() {
  parts_->reloader.poll_once();
  // An operator may have been quicker: the frontends answer already.
  const bool settled = parts_->slot.current() != nullptr || parts_->reloader.is_unloaded();
  if (!settled && is_checkpoint_directory(options_.model)) {
    std::string why = "cannot be loaded";
    for (const VersionStatus& status : parts_->reloader.list()) {
      if (!status.message.empty()) why = status.message;
    }
    throw Error(Code::kFailedPrecondition, concat("--model ", options_.model, ": ", why));
  }
  parts_->reloader.start();
}

BoundPorts ServerApp::ports() const {
  return {parts_->http.port(), parts_->grpc ? parts_->grpc->port() : 0, parts_->admin.port()};
}

std::string ServerApp::ready_line() const {
  const BoundPorts bound = ports();
  const std::string url =
      concat(options_.tls_cert.empty() ? "http://" : "https://", in_url(options_.host), ":", bound.http);
  const ServingVersionPtr version = parts_->slot.current();
  std::string line = version ? concat("ready: version ", version->version, " of ", options_.model_name)
                             : concat("waiting for a first version in ", options_.model);
  line += concat(" at ", url);
  if (bound.grpc > 0)
    line += concat(" (gRPC ", bound.grpc, ", admin ", bound.admin, ")");
  else
    line += concat(" (admin ", bound.admin, ")");
  return line + concat("\n  curl -F image=@examples/scene.png -F question='what shape is the red object?' ", url,
                       "/v1/answer\n");
}

void ServerApp::write_port_file() const {
  if (options_.port_file.empty()) return;
  const BoundPorts bound = ports();
  const fs::path final_path = options_.port_file;
  const fs::path temporary = final_path.string() + ".tmp";
  write_file(temporary, concat("{\"http\":", bound.http, ",\"grpc\":", bound.grpc, ",\"admin\":", bound.admin, "}\n"));
  fs::rename(temporary, final_path);
}

bool ServerApp::reload_files() {
  const bool keys = reload_keys();
  return reload_certificate() && keys;
}

bool ServerApp::reload_keys() {
  if (!parts_->keys) return true;
  try {
    std::vector<ApiKey> keys = read_api_keys(options_.api_keys);
    const size_t count = keys.size();
    parts_->keys->replace(std::move(keys));
    parts_->log(concat("{\"level\":\"info\",\"event\":\"api_keys\",\"keys\":", count, "}"));
  } catch (const std::exception& error) {
    parts_->log(trouble_log_line("api_keys", error.what()));
    return !is_machine_fault(error);
  }
  return true;
}

bool ServerApp::reload_certificate() {
  if (!parts_->certificate) return true;
  try {
    parts_->log(certificate_log_line(*parts_->certificate->reload()));
  } catch (const std::exception& error) {
    parts_->log(trouble_log_line("certificate", error.what()));
    return !is_machine_fault(error);
  }
  return true;
}

Service& ServerApp::service() { return parts_->service; }

void ServerApp::begin_drain() {
  parts_->service.drain();
  parts_->http.drain();
  if (parts_->grpc) parts_->grpc->drain();
}

bool ServerApp::wait_idle(double seconds) { return parts_->service.wait_idle(seconds); }

void ServerApp::stop() {
  if (!parts_) return;
  parts_->service.drain();
  parts_->service.abort();
  parts_->reloader.stop();  // before the frontends, whose handlers may wait for its commands
  parts_->http.stop();
  if (parts_->grpc) parts_->grpc->stop();
  parts_->admin.stop();
  if (parts_->spans) parts_->spans->stop();
  if (parts_->metric_exporter) parts_->metric_exporter->stop();
}

}  // namespace sf::server
