// One ModelStreamInfer call: many requests at once, each with its own id; their responses in the order in which they
// are made. A failure is a response of its own (error_message) and the call goes on, unless its metadata ask for
// triton_grpc_error: then the first error ends it.
//
//   method.serve = [&](GrpcCall& call) { return std::make_unique<InferStream>(infer_deps, call, num_streams); };
//
// Each request in flight is a task in the pool; without one the call holds no thread. What is in flight is bounded: a
// client that sends more is not read from.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/mutex.h"
#include "server/grpc/grpc_call.h"
#include "server/grpc/infer_call.h"
#include "server/grpc/infer_messages.h"

namespace sf::server {

class InferStream final : public CallHandler {
 public:
  // Errors: ResourceExhausted if there are options.max_infer_streams others, of which `num_streams` is the count.
  InferStream(const InferDeps& deps, GrpcCall& call, std::atomic<int>& num_streams);
  ~InferStream() override { --num_streams_; }

  void on_message(grpc::ByteBuffer message) override;
  void on_half_close() override;

 private:
  // --- a task of the pool each ---
  void serve(const grpc::ByteBuffer& bytes);
  // Effect: takes the request to the service. Never throws: false if it was refused, and the client has the error.
  bool accept(InferCall& infer, const grpc::ByteBuffer& bytes);
  void answer_whole(const InferCall& infer);
  void answer_in_parts(const InferCall& infer);
  // Effect: writes what the client gets of one event. Returns whether it was the last.
  bool handle(const InferCall& infer, const Event& event);

  void write(const inference::ModelStreamInferResponse& message) { call_.write(serialize(message)); }
  static grpc::ByteBuffer serialize(const inference::ModelStreamInferResponse& message);
  void write_delta(const InferCall& infer, const std::string& text);
  void write_end(const InferCall& infer, const std::vector<std::string>& texts, const Summary& summary);
  void write_failure(const InferCall& infer, const Error& error);
  void write_error(const InferCall& infer, const Error& error);
  // Effect: reads the next message if there is room for it. Called once a message has become a request.
  void read_next();
  void end_request();

  const InferDeps& deps_;
  GrpcCall& call_;
  std::atomic<int>& num_streams_;
  const bool ends_at_error_;

  Mutex mutex_;
  int in_flight_ SF_GUARDED_BY(mutex_) = 0;
  bool waits_for_room_ SF_GUARDED_BY(mutex_) = false;
  bool all_read_ SF_GUARDED_BY(mutex_) = false;
};

}  // namespace sf::server
