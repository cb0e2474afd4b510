// A whole HTTP request to POST /v1/answer: request line, headers, framing, form or JSON. Whatever it says, the answer
// is one status line, and no header of it is the sender's but the request id.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "server/http/answer_body.h"
#include "server/http/http_errors.h"
#include "server/wire/request_id.h"
#include "tests/fuzz/in_memory_server.h"

namespace {

void answer(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader) {
  sf::server::RequestLimits limits;
  limits.max_body_bytes = 8192;
  limits.max_image_bytes = 4096;
  const std::string id = sf::server::choose_request_id(request.get_header_value("X-Request-Id"));
  response.set_header("X-Request-Id", id);
  try {
    sf::server::read_answer_body(request, reader, limits, {.max_bytes = limits.max_body_bytes});
    response.set_content("{}", "application/json");
  } catch (const sf::Error& error) {
    sf::server::write_error(response, request, error, id, /*retry_after_s=*/1);
  }
}

sf::server::InMemoryServer& server() {
  static sf::server::InMemoryServer* const server = [] {
    auto* made = new sf::server::InMemoryServer;
    made->Post("/v1/answer", answer);
    made->set_payload_max_length(4 * 8192);
    return made;
  }();
  return *server;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string response = server().serve({reinterpret_cast<const char*>(bytes), size});
  if (response.empty()) return 0;  // the request line never ended
  if (!response.starts_with("HTTP/1.1 ")) std::abort();
  if (response.find("\r\nSet-Cookie:") < response.find("\r\n\r\n")) std::abort();
  return 0;
}
