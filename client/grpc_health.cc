#include "client/grpc_health.h"

#include <grpcpp/client_context.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <vector>

namespace sf::client {
namespace {

// HealthCheckResponse{status: SERVING}: field 1, varint 1.
constexpr std::string_view kServing("\x08\x01", 2);

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace

bool check_grpc_health(const std::shared_ptr<grpc::Channel>& channel, int timeout_ms, bool ready) {
  const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms);
  if (!channel->WaitForConnected(deadline)) return false;
  grpc::ClientContext context;
  context.set_deadline(deadline);
  const grpc::Slice empty("");  // HealthCheckRequest{service: ""}
  const grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check", grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel.get(), method, &context, request, &response);
  return status.ok() && (!ready || bytes_of(response) == kServing);
}

}  // namespace sf::client
