// Where a request stands in its caller's trace: W3C Trace Context, https://www.w3.org/TR/trace-context/.
//
//   TraceContext trace = continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
//   if (trace.is_set()) line["trace_id"] = trace.trace_id;
//
// Thread-safe: free functions.
#pragma once

#include <string>
#include <string_view>

namespace sf::server {

// Ids in lower-case hex.
struct TraceContext {
  std::string trace_id;   // 32 digits; empty = no trace
  std::string span_id;    // 16 digits: of this server's span
  std::string parent_id;  // of the caller's span; empty where the trace begins here
  bool sampled = false;   // whether its spans are wanted
  bool is_set() const { return !trace_id.empty(); }
};

// The caller's trace with a new span of ours. What is malformed is ignored, as the specification says: the result is
// not set. A version above 00 is read as far as 00 goes.
TraceContext continue_trace(std::string_view traceparent);

// A trace that begins here.
TraceContext begin_trace(bool sampled);

// 16 random hex digits, not all zero.
std::string random_span_id();

}  // namespace sf::server
