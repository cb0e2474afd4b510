// Any bytes as a traceparent header. What is taken is what stands in it, and a span of ours.
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/wire/trace_context.h"

namespace {

// Lower-case hex, not all zero.
bool is_id(const std::string& id, size_t digits) {
  return id.size() == digits && id.find_first_not_of("0123456789abcdef") == std::string::npos &&
         id.find_first_not_of('0') != std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view header(reinterpret_cast<const char*>(bytes), size);
  const sf::server::TraceContext trace = sf::server::continue_trace(header);
  if (!trace.is_set()) {
    if (!trace.span_id.empty() || !trace.parent_id.empty() || trace.sampled) std::abort();
    return 0;
  }
  if (!is_id(trace.trace_id, 32) || !is_id(trace.span_id, 16) || !is_id(trace.parent_id, 16)) std::abort();
  if (header.find(trace.trace_id + "-" + trace.parent_id + "-") == std::string_view::npos) std::abort();
  return 0;
}
