#include "server/grpc/grpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "engine/base/error.h"
#include "engine/base/log.h"
#include "server/grpc/admin_service.h"
#include "server/grpc/call_router.h"
#include "server/grpc/call_workers.h"
#include "server/grpc/connections.h"
#include "server/grpc/health_service.h"
#include "server/grpc/kserve_service.h"
#include "server/grpc/open_calls.h"
#include "server/grpc/reflection_service.h"
#include "server/grpc/tls_credentials.h"
#include "server/grpc/vqa_service.h"

namespace sf::server {
namespace {

// How long a handler gets to notice that the server stops before its call is cut.
constexpr std::chrono::seconds kStopGrace{2};
constexpr std::chrono::seconds kHandshakeTime{10};
constexpr std::chrono::minutes kConnectionIdle{30};

// gRPC would write lines of its own to stderr, with bytes as clients send them. In our log they are escaped, and one a
// second is enough.
void log_for_grpc(gpr_log_func_args* args) {
  static std::atomic<int64_t> next_s{0}, num_dropped{0};
  const int64_t now_s =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  int64_t due_s = next_s;
  if (now_s < due_s || !next_s.compare_exchange_strong(due_s, now_s + 1)) {
    ++num_dropped;
    return;
  }
  const int64_t dropped = num_dropped.exchange(0);
  if (args->severity != GPR_LOG_SEVERITY_ERROR) return;
  constexpr size_t kMaxMessageBytes = 500;
  nlohmann::ordered_json line = log_line(LogLevel::kWarning, "grpc");
  line["message"] = std::string(args->message).substr(0, kMaxMessageBytes);
  line["dropped"] = dropped;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  write_log_line(stamped(log_text(line), now.count()));
}

// Process-wide switches of the libraries.
void set_up_libraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(false);  // ours needs no thread of the pool
    // It would write a line to stderr for every text that is not UTF-8; the caller gets INVALID_ARGUMENT.
    google::protobuf::SetLogHandler(nullptr);
    gpr_set_log_function(log_for_grpc);
  });
}

std::string authority(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const std::shared_ptr<const ServerCertificate>& certificate) {
  return certificate ? make_tls_credentials(certificate) : grpc::InsecureServerCredentials();
}

int milliseconds(std::chrono::milliseconds duration) { return static_cast<int>(duration.count()); }

// Of one connection.
int concurrent_streams(const GrpcOptions& options) {
  return std::max(options.max_concurrent_streams, options.limits.num_frontend_threads());
}

void set_limits(grpc::ServerBuilder& builder, const GrpcOptions& options) {
  grpc::ResourceQuota quota("sparsefusion");
  quota.Resize(options.max_memory_bytes);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.limits.max_body_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, concurrent_streams(options));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  // A message is inflated by us, under our limit and after its key was looked at (message_buffer.h).
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // A second server on the port must fail, not share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Dead peers are noticed within half a minute. Pings of idle channels, every 10 s at most as proxies send them, are
  // fine; floods of them are not answered.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, options.min_ping_interval_ms);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 5);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, milliseconds(kHandshakeTime));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, milliseconds(kConnectionIdle));
}

std::vector<std::string> service_names() { return {VqaService::kName, KserveService::kName, AdminService::kName}; }

std::vector<std::string> reflected_names() {
  std::vector<std::string> names = service_names();
  names.emplace_back("grpc.health.v1.Health");
  return names;
}

}  // namespace

struct GrpcServer::Impl {
  Impl(GrpcOptions given, Service& served)
      : options(std::move(given)),
        service(served),
        vqa(options, served),
        kserve(options, served),
        admin(options, served),
        reflection(reflected_names(), options.reflection_idle_s) {}

  // What serves the calls, from the first to the last of them.
  struct Running {
    explicit Running(Impl& impl)
        : calls({.max_calls = impl.options.max_open_calls,
                 .max_calls_per_peer = impl.options.max_open_calls_per_peer,
                 .max_pending_bytes = impl.options.max_pending_bytes,
                 .max_calls_per_connection = 10 * concurrent_streams(impl.options)},
                [&impl](const std::string& connection) { end_connection(connection, impl.port); }),
          deps{impl.options, impl.service, pool, calls},
          router(deps),
          health(impl.service, service_names(), impl.options.health_interval_ms),
          pool(impl.options.limits.num_frontend_threads()) {
      impl.vqa.register_methods(router);
      impl.kserve.register_methods(router);
      impl.admin.register_methods(router);
      impl.reflection.register_methods(router);
      health.register_methods(router);
    }

    OpenCalls calls;
    const CallDeps deps;
    CallRouter router;
    HealthService health;
    CallWorkers pool;  // the last member: its tasks use the others until they have ended
  };

  const GrpcOptions options;
  Service& service;
  VqaService vqa;
  KserveService kserve;
  AdminService admin;
  ReflectionService reflection;
  std::unique_ptr<Running> running;
  int port = 0;
  std::shared_ptr<grpc::ServerCredentials> credentials;  // the server asks them at every handshake
  std::unique_ptr<grpc::Server> server;
};

GrpcServer::GrpcServer(GrpcOptions options, Service& service)
    : impl_(std::make_unique<Impl>(std::move(options), service)) {}
GrpcServer::~GrpcServer() { stop(); }

void GrpcServer::start() {
  set_up_libraries();
  impl_->running = std::make_unique<Impl::Running>(*impl_);
  grpc::ServerBuilder builder;
  set_limits(builder, impl_->options);
  const std::string address = authority(impl_->options.host, impl_->options.port);
  impl_->credentials = credentials_of(impl_->options.certificate);
  builder.AddListeningPort(address, impl_->credentials, &impl_->port);
  builder.RegisterCallbackGenericService(&impl_->running->router);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    throw Error(Code::kUnavailable,
                concat("cannot listen on ", address, ": is it in use, or not an address of this machine?"));
  }
}

int GrpcServer::port() const { return impl_->port; }

void GrpcServer::drain() {
  if (impl_->running) impl_->running->health.drain();
}

void GrpcServer::stop() {
  if (!impl_->server) return;
  impl_->running->calls.abort_all(Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining));
  impl_->server->Shutdown(std::chrono::system_clock::now() + kStopGrace);
  impl_->server->Wait();
  impl_->server.reset();
  impl_->running.reset();
}

}  // namespace sf::server
