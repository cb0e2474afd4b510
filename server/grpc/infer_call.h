// One inference request over gRPC from its bytes to its end, for ModelInfer and for each request of a ModelStreamInfer.
//
//   InferCall call;
//   read_infer_call(call, buffer, grpc_call, infer_deps);   // throws: refused
//   submit_infer_call(call, service);                       // throws: failed
//   finish_infer_call(call, summary, infer_deps);           // or fail_infer_call
//
// Thread-safe: free functions.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

#include "server/grpc/grpc_call.h"
#include "server/kserve/infer_request.h"
#include "server/kserve/infer_statistics.h"

namespace sf::server {

inline constexpr const char* kInferGrpcApi = "kserve_grpc";

struct InferDeps {
  const GrpcOptions& options;
  server::Service& service;
};

struct InferCall {
  std::string id;  // of the log
  TraceContext trace = {};
  RequestOrigin origin = {};
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  InferHead head;
  bool decoupled = false;
  bool empty_final_response = false;
  std::string asked_version;  // "" = any
  std::string tenant;
  InferBatch batch;
  InferAnswers answers;
};

// Effect: fills `call`, whose tenant is known, as far as `bytes` are good, its id with the request's own if it has none
// yet. Errors: InvalidArgument, NotFound, Unavailable, DeadlineExceeded: to be counted with refuse_infer_call.
void read_infer_call(InferCall& call, const grpc::ByteBuffer& bytes, const GrpcCall& context, const InferDeps& deps);

// Effect: submits and fills answers and version. Errors: the service's.
void submit_infer_call(InferCall& call, server::Service& service);

// Effect: counts and logs a request that the service never saw.
void refuse_infer_call(const Error& error, RequestIds ids, server::Service& service);
// Effect of both: counts and logs the end of one that it saw.
void finish_infer_call(const InferCall& call, const Summary& summary, const InferDeps& deps);
void fail_infer_call(const InferCall& call, const Error& error, const InferDeps& deps);

// gRPC's name of an error's code.
const char* grpc_code_name(const Error& error);

}  // namespace sf::server
