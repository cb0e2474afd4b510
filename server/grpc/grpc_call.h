// One call from its headers to its status: gRPC's callback API, which every method here is served through.
//
//   auto call = std::make_shared<GrpcCall>(deps, context);
//   call->start(std::make_unique<MyHandler>(*call), idle_s);    // or call->refuse(status)
//
// The callbacks of all calls share a handful of gRPC's threads, so nothing there parses, decodes or waits: a handler
// hands that to post(). A call without a task in the pool holds no thread, however long its client stays silent or
// reads nothing; what ends it then is its deadline:
//   - a message that does not come (idle_s), a message of ours that is not taken (write_stall_s),
//   - more bytes waiting for the client than max_backlog_bytes, or for all clients than OpenCalls has room for.
//
// Thread-safe. A call lives until gRPC is done with it and the last task has ended.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/mutex.h"
#include "server/auth/api_keys.h"
#include "server/grpc/call_workers.h"
#include "server/grpc/grpc_server.h"
#include "server/grpc/open_calls.h"
#include "server/service/request_log.h"
#include "server/wire/trace_context.h"

namespace sf::server {

struct CallDeps {
  const GrpcOptions& options;
  server::Service& service;
  CallWorkers& pool;
  OpenCalls& calls;
};

// What a method does with a call. Each function runs on one of gRPC's threads and must return at once.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  // The message that read() asked for.
  virtual void on_message(grpc::ByteBuffer message) = 0;
  // Instead of a message: there will be no more.
  virtual void on_half_close() = 0;
  // All that was written is on its way.
  virtual void on_written() {}
};

class GrpcCall final : public grpc::ServerGenericBidiReactor,
                       public OpenCalls::Call,
                       public std::enable_shared_from_this<GrpcCall> {
 public:
  GrpcCall(const CallDeps& deps, grpc::GenericCallbackServerContext& context);

  // --- what is known of it from the start ---
  const std::string& id() const { return id_; }
  const TraceContext& trace() const { return trace_; }
  const RequestOrigin& origin() const { return origin_; }
  // For the log; `field`: what an error named.
  RequestIds ids(const std::string& field = "") const { return {id_, trace_, origin_, field}; }
  const std::string& peer() const { return peer_; }  // the address, without its port
  std::chrono::steady_clock::time_point begin() const { return begin_; }
  // The first value of this metadata key; empty if there is none.
  std::string metadata(const std::string& key) const;
  // The name of the key in the metadata `authorization` or `x-api-key`; empty where no keys are asked for.
  // Errors: those of KeyRing::admit.
  std::string admit(Access access) const;
  // Effect: as admit, for the call as a whole. REQUIRES: before start.
  void admit_first(Access access);
  // The name that admit_first found.
  const std::string& tenant() const { return tenant_; }
  // The call's deadline is as good as timeout_ms (0 = none): the shorter of the two counts.
  // Errors: DeadlineExceeded if it has passed.
  int64_t shorter_timeout(int64_t timeout_ms) const;

  // --- serving it ---
  // Effect: reads the first message, and gives the handler this one and all that follow. A call that waits for a
  // message longer than `idle_s` ends, with 0 never.
  void start(std::unique_ptr<CallHandler> handler, double idle_s);
  // Effect: ends it before it was started.
  void refuse(const grpc::Status& status);
  // Effect: the log calls what was asked for a path, for there is no such route. REQUIRES: before it is refused.
  void set_unknown() { std::swap(origin_.route, origin_.path); }
  // Effect: asks for the next message. REQUIRES: none is being waited for.
  void read();
  // Effect: runs `task` on a thread of the pool. What it throws ends the call.
  void post(std::function<void()> task);
  // Effect: sends a message after those that wait. Never blocks. False once nothing can be sent any more.
  bool write(grpc::ByteBuffer message);
  // Effect: write and finish in one.
  bool write_last(grpc::ByteBuffer message);
  // Effect: ends the call when everything was sent; the first status counts.
  void finish(const grpc::Status& status);
  // Effect: as long as nothing was sent, metadata that goes before it.
  void add_initial_metadata(const std::string& key, const std::string& value);

  // Whether it ended by itself: its client left, its deadline passed, the server stops.
  bool is_unwanted() const { return unwanted_.load(std::memory_order_relaxed); }
  // Why. REQUIRES: is_unwanted().
  Error unwanted_error() const;
  // Effect: it is unwanted from now on; its status says `error` unless another is given first.
  void abort(const Error& error) override;
  void evict() override;
  void check(OpenCalls::TimePoint now) override;

 private:
  using TimePoint = OpenCalls::TimePoint;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void end_task();
  bool push(grpc::ByteBuffer message) SF_REQUIRES(mutex_);
  void abort_locked(const Error& error) SF_REQUIRES(mutex_);
  // Effect: as abort, and the client hears nothing of what waits for it.
  void cut(const Error& error) SF_REQUIRES(mutex_);
  void finish_locked(const grpc::Status& status) SF_REQUIRES(mutex_);
  void pump() SF_REQUIRES(mutex_);
  void drop_outgoing() SF_REQUIRES(mutex_);
  TimePoint stall_deadline() const;
  grpc::Status status_of(const Error& error) const;

  const CallDeps& deps_;
  grpc::GenericCallbackServerContext& context_;  // valid until OnDone
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  const std::chrono::system_clock::time_point deadline_;
  const std::string connection_;  // as gRPC names its peer
  const std::string peer_;
  const std::string id_;
  const TraceContext trace_;
  const std::string authorization_, api_key_;
  RequestOrigin origin_;
  std::string tenant_;
  double idle_s_ = 0;
  std::shared_ptr<GrpcCall> self_;  // what keeps it alive until OnDone
  grpc::ByteBuffer incoming_;       // gRPC's while reading_

  std::atomic<bool> unwanted_{false};
  std::atomic<bool> has_message_{false};
  mutable Mutex mutex_;
  std::deque<grpc::ByteBuffer> outgoing_ SF_GUARDED_BY(mutex_);
  grpc::ByteBuffer sending_ SF_GUARDED_BY(mutex_);  // gRPC's while writing_
  size_t backlog_bytes_ SF_GUARDED_BY(mutex_) = 0;  // of both
  bool reading_ SF_GUARDED_BY(mutex_) = false;
  bool writing_ SF_GUARDED_BY(mutex_) = false;
  bool finished_ SF_GUARDED_BY(mutex_) = false;  // gRPC has the status
  bool cut_ SF_GUARDED_BY(mutex_) = false;
  int num_tasks_ SF_GUARDED_BY(mutex_) = 0;
  TimePoint idle_deadline_ SF_GUARDED_BY(mutex_) = TimePoint::max();
  TimePoint stall_deadline_ SF_GUARDED_BY(mutex_) = TimePoint::max();
  std::optional<Error> unwanted_error_ SF_GUARDED_BY(mutex_);
  std::optional<grpc::Status> status_ SF_GUARDED_BY(mutex_);
  std::unique_ptr<CallHandler> handler_;  // the last member: it may be using the others until it is gone
};

}  // namespace sf::server
