#include "server/grpc/grpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <mutex>

#include "engine/base/error.h"
#include "grpc/health/v1/health.pb.h"
#include "server/grpc/admin_service.h"
#include "server/grpc/health_mirror.h"
#include "server/grpc/kserve_service.h"
#include "server/grpc/reflection_guard.h"
#include "server/grpc/tls_credentials.h"
#include "server/grpc/vqa_service.h"

namespace sf::server {
namespace {

// How long a handler gets to notice that the server stops before its call is cut.
constexpr std::chrono::seconds kStopGrace{2};
constexpr int kMaxPollers = 32;

// Process-wide switches of the libraries.
void set_up_libraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    // It would write a line to stderr for every text that is not UTF-8; the caller gets INVALID_ARGUMENT.
    google::protobuf::SetLogHandler(nullptr);
  });
}

// Of every server of the process from then on; linking alone does as much (reflection_guard.h).
void set_up_reflection() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::health::v1::HealthCheckRequest::descriptor();  // links what describes the library's own service
  });
}

std::string authority(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const std::shared_ptr<const ServerCertificate>& certificate) {
  return certificate ? make_tls_credentials(certificate) : grpc::InsecureServerCredentials();
}

void set_limits(grpc::ServerBuilder& builder, const GrpcOptions& options) {
  grpc::ResourceQuota quota("sparsefusion");
  quota.Resize(options.max_memory_bytes);
  // A call that finds no thread is refused by gRPC itself, which knows nothing of RetryInfo: beside those who wait for
  // an answer there is room for a burst of those who are told to come back.
  const int num_threads = 2 * options.limits.num_front_threads();
  quota.SetMaxThreads(num_threads + 4);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.limits.max_body_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             std::max(options.max_concurrent_streams, options.limits.num_front_threads()));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  // A second server on the port must fail, not share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Dead peers are noticed within half a minute; floods of pings are not answered.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 5);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  // A handler's thread that finds so many others waiting for calls ends, and the next call starts a new one.
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, kMaxPollers);
}

}  // namespace

struct GrpcServer::Impl {
  Impl(GrpcOptions given, Service& served)
      : options(std::move(given)),
        service(served),
        vqa(options, served),
        kserve(options, served),
        admin(options, served) {}

  const GrpcOptions options;
  Service& service;
  VqaService vqa;
  KserveService kserve;
  AdminService admin;
  int port = 0;
  std::shared_ptr<grpc::ServerCredentials> credentials;  // the server asks them at every handshake
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<HealthMirror> health;
};

GrpcServer::GrpcServer(GrpcOptions options, Service& service)
    : impl_(std::make_unique<Impl>(std::move(options), service)) {}
GrpcServer::~GrpcServer() { stop(); }

void GrpcServer::start() {
  set_up_libraries();
  set_up_reflection();
  grpc::ServerBuilder builder;
  set_limits(builder, impl_->options);
  const std::string address = authority(impl_->options.host, impl_->options.port);
  impl_->credentials = credentials_of(impl_->options.certificate);
  builder.AddListeningPort(address, impl_->credentials, &impl_->port);
  builder.RegisterService(&impl_->vqa);
  builder.RegisterService(&impl_->kserve);
  builder.RegisterService(&impl_->admin);
  if (impl_->options.keys != nullptr) {
    builder.experimental().SetInterceptorCreators(reflection_guard(*impl_->options.keys));
  }
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    throw Error(Code::kUnavailable,
                concat("cannot listen on ", address, ": is it in use, or not an address of this machine?"));
  }
  impl_->health = std::make_unique<HealthMirror>(
      *impl_->server->GetHealthCheckService(), impl_->service,
      std::vector<std::string>{VqaService::kName, KserveService::kName, AdminService::kName},
      impl_->options.health_interval_ms);
}

int GrpcServer::port() const { return impl_->port; }

void GrpcServer::drain() {
  if (impl_->health) impl_->health->drain();
}

void GrpcServer::stop() {
  if (!impl_->server) return;
  impl_->health.reset();
  impl_->vqa.stop();
  impl_->kserve.stop();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kStopGrace);
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace sf::server
