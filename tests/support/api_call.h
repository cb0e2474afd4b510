// One question over any of the server's APIs, so that a test can ask the same of all: begin it, hang up at any moment,
// or read what came of it.
//
//   for (const Api api : kAllApis) {
//     auto call = begin_call(api, ports, channel, {.question = "xxxx"});
//     if (is_stream(api)) call->wait_for_text();
//     call->hang_up();                               // or: Outcome o = call->finish();
//   }
//
// One thread a call.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "server/app/server_app.h"

namespace sf::server {

enum class Api {
  kRest,
  kRestStream,
  kChat,
  kChatStream,
  kInfer,
  kGenerateStream,
  kGrpc,
  kGrpcStream,
  kInferGrpc,
  kInferGrpcStream
};
inline constexpr Api kAllApis[] = {Api::kRest,      Api::kRestStream,     Api::kChat, Api::kChatStream,
                                   Api::kInfer,     Api::kGenerateStream, Api::kGrpc, Api::kGrpcStream,
                                   Api::kInferGrpc, Api::kInferGrpcStream};

bool is_stream(Api api);
bool is_grpc(Api api);
const char* name_of(Api api);

struct Asked {
  std::string question = "xxxx";  // letters only: the fake engine's answer is the same
  std::string image = "IMG";      // as bytes; for other images see FakeEngine
  int timeout_ms = 0;             // 0 = the server's
};

enum class End { kAnswered, kRefused, kUnavailable, kDeadline, kOther };

struct Outcome {
  End end = End::kOther;
  int retry_after_s = 0;  // Retry-After or RetryInfo; 0 where there is none
  std::string text = {};  // what came, for messages
};

class ApiCall {
 public:
  virtual ~ApiCall() = default;
  // Blocks until a stream's first text is there. REQUIRES: is_stream().
  virtual void wait_for_text() = 0;
  // Effect: the client is gone, without a word.
  virtual void hang_up() = 0;
  // Blocks until the end. At most one of hang_up() and finish() is called.
  virtual Outcome finish() = 0;
};

// Effect: sends the whole request; does not wait for anything.
std::unique_ptr<ApiCall> begin_call(Api api, const BoundPorts& ports, const std::shared_ptr<grpc::Channel>& channel,
                                    const Asked& asked);

// A connection of its own to the gRPC port.
std::shared_ptr<grpc::Channel> connect_grpc(const BoundPorts& ports);

}  // namespace sf::server
