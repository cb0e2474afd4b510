#include "server/grpc/health_service.h"

#include <optional>
#include <utility>

#include "grpc/health/v1/health.pb.h"
#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

namespace wire = grpc::health::v1;
using Status = wire::HealthCheckResponse::ServingStatus;

// Of the message that names a service: parsed on gRPC's own threads, so it has to be small.
constexpr size_t kMaxRequestBytes = 4096;

wire::HealthCheckRequest read_request(const grpc::ByteBuffer& message) {
  wire::HealthCheckRequest request;
  parse_message(message, request, kMaxRequestBytes);
  return request;
}

grpc::ByteBuffer response_of(Status status) {
  wire::HealthCheckResponse response;
  response.set_status(status);
  return serialize_message(response);
}

std::set<std::string> with_server(std::vector<std::string> names) {
  std::set<std::string> all(names.begin(), names.end());
  all.insert("");
  return all;
}

}  // namespace

class HealthService::Check final : public CallHandler {
 public:
  Check(const HealthService& health, GrpcCall& call) : health_(health), call_(call) {}

  void on_message(grpc::ByteBuffer message) override {
    try {
      if (!health_.knows(read_request(message).service())) throw Error(Code::kNotFound, "service: unknown", "service");
      call_.write_last(response_of(health_.is_serving() ? wire::HealthCheckResponse::SERVING
                                                        : wire::HealthCheckResponse::NOT_SERVING));
    } catch (...) {
      call_.finish(grpc_status(thrown_error(), call_.id(), 1));
    }
  }
  void on_half_close() override { call_.finish(grpc::Status(grpc::INVALID_ARGUMENT, "the call has no message")); }

 private:
  const HealthService& health_;
  GrpcCall& call_;
};

// At most one message waits for the client, however often the status changes meanwhile: the last one counts.
class HealthService::Watch final : public CallHandler {
 public:
  Watch(HealthService& health, GrpcCall& call) : health_(health), call_(call) {}
  ~Watch() override {
    MutexLock lock(health_.mutex_);
    health_.watches_.erase(this);
  }

  void on_message(grpc::ByteBuffer message) override {
    try {
      known_ = health_.knows(read_request(message).service());
    } catch (...) {
      call_.finish(grpc_status(thrown_error(), call_.id(), 1));
      return;
    }
    MutexLock lock(health_.mutex_);
    health_.watches_.insert(this);
    notify();
  }
  void on_half_close() override { call_.finish(grpc::Status(grpc::INVALID_ARGUMENT, "the call has no message")); }
  void on_written() override {
    MutexLock lock(health_.mutex_);
    writing_ = false;
    notify();
  }

  // Effect: sends the status if the client has another. REQUIRES: health.mutex_ is held.
  void notify() SF_NO_THREAD_SAFETY_ANALYSIS {
    const Status status = !known_            ? wire::HealthCheckResponse::SERVICE_UNKNOWN
                          : health_.serving_ ? wire::HealthCheckResponse::SERVING
                                             : wire::HealthCheckResponse::NOT_SERVING;
    if (writing_ || told_ == status) return;
    writing_ = true;
    told_ = status;
    call_.write(response_of(status));
  }

 private:
  HealthService& health_;
  GrpcCall& call_;
  bool known_ = false;
  bool writing_ = false;
  std::optional<Status> told_;
};

HealthService::HealthService(const server::Service& service, std::vector<std::string> names, int interval_ms)
    : service_(service),
      names_(with_server(std::move(names))),
      interval_ms_(interval_ms),
      serving_(service.health().ready) {
  thread_ = std::thread([this] { run(); });
}

HealthService::~HealthService() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void HealthService::register_methods(CallRouter& router) {
  Method check;
  check.access = Access::kPublic;
  check.kind = OpenCalls::Kind::kHealth;
  check.serve = [this](GrpcCall& call) { return std::make_unique<Check>(*this, call); };
  router.add("/grpc.health.v1.Health/Check", check);
  Method watch;
  watch.access = Access::kPublic;
  watch.serve = [this](GrpcCall& call) { return std::make_unique<Watch>(*this, call); };
  router.add("/grpc.health.v1.Health/Watch", watch);
}

bool HealthService::knows(const std::string& name) const { return names_.contains(name); }

bool HealthService::is_serving() const {
  MutexLock lock(mutex_);
  return serving_;
}

void HealthService::drain() {
  MutexLock lock(mutex_);
  draining_ = true;
  publish(false);
}

void HealthService::run() {
  MutexLock lock(mutex_);
  while (!stopped_) {
    publish(!draining_ && service_.health().ready);
    wake_.wait_for(mutex_, std::chrono::milliseconds(interval_ms_));
  }
}

void HealthService::publish(bool serving) {
  if (std::exchange(serving_, serving) == serving) return;
  for (Watch* watch : watches_) watch->notify();
}

}  // namespace sf::server
