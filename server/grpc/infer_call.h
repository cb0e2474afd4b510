// One inference request over gRPC from its bytes to its end, for ModelInfer and for each request of a ModelStreamInfer.
//
//   InferCall call;
//   read_infer_call(call, bytes, context, service, keys);     // throws: refused
//   submit_infer_call(call, service);                         // throws: failed
//   record_infer_call(call, "OK", &summary, service, statistics);
//
// Thread-safe: free functions.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "server/guard/api_keys.h"
#include "server/kserve/infer_request.h"
#include "server/kserve/infer_statistics.h"

namespace sf::server {

inline constexpr const char* kInferGrpcApi = "kserve_grpc";

struct InferCall {
  std::string id;  // of the log
  TraceContext trace = {};
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  InferHead head;
  bool decoupled = false;
  bool empty_final_response = false;
  std::string asked_version;  // "" = any
  AnswerRequest answer;
  std::shared_ptr<ResponseStream> stream;
};

// Effect: fills `call` as far as `bytes` are good, its id with the request's own if it has none yet.
// Errors: InvalidArgument, NotFound, Unavailable, DeadlineExceeded: to be counted with refuse_infer_call.
void read_infer_call(InferCall& call, const grpc::ByteBuffer& bytes, const grpc::ServerContext& context,
                     const server::Service& service, KeyRing* keys);

// Effect: submits and fills stream and version. Errors: the service's.
void submit_infer_call(InferCall& call, server::Service& service);

// Effect: counts and logs a request that the service never saw.
void refuse_infer_call(const Error& error, const RequestIds& ids, server::Service& service);
// Effect: counts and logs the end of one that it saw; `summary` is null unless it went well.
void record_infer_call(const InferCall& call, const std::string& code, const Summary* summary, server::Service& service,
                       InferStatistics& statistics);

// gRPC's name of an error's code.
const char* grpc_code_name(const Error& error);

}  // namespace sf::server
