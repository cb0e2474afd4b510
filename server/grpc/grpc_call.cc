#include "server/grpc/grpc_call.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>

namespace sf::server {
namespace {

// Nothing if the call has no deadline.
std::optional<int64_t> milliseconds_left(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return std::nullopt;
  const auto left = deadline - std::chrono::system_clock::now();
  return std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
}

}  // namespace

std::string offered_request_id(const grpc::ServerContext& context) {
  const auto it = context.client_metadata().find("x-request-id");
  return it == context.client_metadata().end() ? "" : std::string(it->second.data(), it->second.size());
}

TraceContext trace_of(const grpc::ServerContext& context) {
  const auto [begin, end] = context.client_metadata().equal_range("traceparent");
  if (begin == end || std::next(begin) != end) return {};
  return continue_trace({begin->second.data(), begin->second.size()});
}

int64_t shorter_timeout(int64_t timeout_ms, const grpc::ServerContext& context) {
  const std::optional<int64_t> left = milliseconds_left(context);
  // A deadline further away than any timeout of ours says nothing (and "none" arrives as one centuries away).
  if (!left || *left > 24 * 3600 * 1000) return timeout_ms;
  if (*left <= 0) throw Error(Code::kDeadlineExceeded, "the call's deadline has passed");
  return timeout_ms == 0 ? *left : std::min(timeout_ms, *left);
}

Error unwanted_error(const grpc::ServerContext& context, bool stopping) {
  if (stopping) return Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
  const std::optional<int64_t> left = milliseconds_left(context);
  if (left && *left <= 0) return Error(Code::kDeadlineExceeded, "the call's deadline has passed");
  return Error(Code::kCancelled, "the client cancelled the call");
}

}  // namespace sf::server
