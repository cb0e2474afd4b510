// The body of a form for POST /v1/answer, behind a fixed head. The first byte's lowest bit picks how it is framed: by
// its length, or as chunks.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "server/http/answer_body.h"
#include "server/service/answer_fields.h"
#include "tests/fuzz/in_memory_server.h"

namespace {

constexpr size_t kMaxBodyBytes = 8192;

void answer(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader) {
  sf::server::RequestLimits limits;
  limits.max_body_bytes = kMaxBodyBytes;
  limits.max_image_bytes = 4096;
  try {
    sf::server::AnswerFields fields =
        sf::server::read_answer_body(request, reader, limits, {.max_bytes = limits.max_body_bytes});
    // What the parts hold came in the body: nothing is made up, nothing is counted twice.
    size_t held = fields.model.size() + (fields.image ? fields.image->size() : 0) +
                  (fields.question ? fields.question->size() : 0);
    for (const std::string& stop : fields.stop) held += stop.size();
    if (fields.body_bytes > kMaxBodyBytes || held > fields.body_bytes) std::abort();
    sf::server::make_answer_request(std::move(fields), "id", "rest");
    response.status = 200;
  } catch (const sf::Error&) {
    response.status = 400;
  }
}

sf::server::InMemoryServer& server() {
  static sf::server::InMemoryServer* const server = [] {
    auto* made = new sf::server::InMemoryServer;
    made->Post("/v1/answer", answer);
    made->set_payload_max_length(4 * kMaxBodyBytes);
    return made;
  }();
  return *server;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  std::string request = "POST /v1/answer HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=cut\r\n";
  request += bytes[0] & 1 ? "Transfer-Encoding: chunked\r\n\r\n"
                          : "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  request += body;
  if (!server().serve(request).starts_with("HTTP/1.1 ")) std::abort();
  return 0;
}
