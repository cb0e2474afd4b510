// One ModelStreamInfer call: many requests at once, each with its own id; their responses in the order in which they
// are made. What fails is told in the response (error_message) and the call goes on, unless its metadata ask for
// triton_grpc_error: then the first error ends it.
//
//   InferStream stream({options, service, statistics, stopping}, *context, *reader_writer);
//   return stream.run();
//
// Two threads: the handler's reads and submits, one of its own writes. What is in flight is bounded: a client that
// sends more, or reads nothing, is not read from.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/mutex.h"
#include "server/grpc/grpc_server.h"
#include "server/grpc/infer_call.h"
#include "server/grpc/infer_messages.h"

namespace sf::server {

struct InferDeps {
  const GrpcOptions& options;
  server::Service& service;
  InferStatistics& statistics;
  const std::atomic<bool>& stopping;
};

class InferStream {
 public:
  using Stream = grpc::ServerReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  InferStream(InferDeps deps, grpc::ServerContext& context, Stream& stream);
  // Effect: serves the call; returns once the client has sent everything and got everything, or is gone.
  grpc::Status run();

 private:
  struct Request {
    InferCall call;
    std::optional<Error> refusal;  // of one that has no stream; counted and logged already
    std::string text;              // of a whole answer
  };
  using RequestPtr = std::unique_ptr<Request>;

  // --- the handler's thread ---
  void read_all();
  bool wait_for_room();
  // Never throws: what fails becomes a refusal.
  RequestPtr accept(const grpc::ByteBuffer& bytes);
  void cancel_unseen();

  // --- the writing thread ---
  void write_all();
  // Effect: moves what came in to `active_`; waits for something if nothing is active. Returns false at the end.
  bool take_incoming();
  // Effect: handles at most one event of each request. Returns whether there was any.
  bool sweep(int wait_ms);
  // Returns whether the request has ended.
  bool handle(Request& request, Event event);
  bool write(const inference::ModelStreamInferResponse& message);
  bool write_delta(Request& request, const std::string& text);
  bool write_summary(Request& request, const Summary& summary);
  void write_error(const Request& request, const Error& error);
  void record(const Request& request, const std::string& code, const Summary* summary);
  // Effect: cancels what is left; the call ends with this error's status.
  void abandon(const Error& error);
  bool is_unwanted() const { return context_.IsCancelled() || deps_.stopping; }

  const InferDeps deps_;
  grpc::ServerContext& context_;
  Stream& stream_;
  const bool ends_at_error_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<RequestPtr> incoming_ SF_GUARDED_BY(mutex_);
  int in_flight_ SF_GUARDED_BY(mutex_) = 0;
  bool all_read_ SF_GUARDED_BY(mutex_) = false;
  bool abandoned_ SF_GUARDED_BY(mutex_) = false;

  // The writing thread's own until run() has joined it.
  std::vector<RequestPtr> active_;
  std::optional<Error> end_;  // why the call ends before its time
  size_t turn_ = 0;
};

}  // namespace sf::server
