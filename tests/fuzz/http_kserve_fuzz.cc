// The bodies of infer and generate. The first two bytes are Inference-Header-Content-Length, the third's lowest bit
// picks generate.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "server/http/kserve_request.h"
#include "server/wire/json_parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 3) return 0;
  const size_t claimed = bytes[0] | bytes[1] << 8;
  const std::string_view body(reinterpret_cast<const char*>(bytes) + 3, size - 3);
  sf::server::RequestLimits limits;
  limits.max_image_bytes = 4096;
  const sf::server::ServedModel model{"m", false, {.id = "m", .version = 3, .info = {}}};
  try {
    const std::string_view text = body.substr(0, claimed);
    const nlohmann::json json = sf::server::parse_json_object(text, sf::server::json_limits(limits));
    sf::server::InferRequest request =
        bytes[2] & 1 ? sf::server::read_generate_body(json, limits)
                     : sf::server::read_infer_body(json, body.substr(text.size()), limits).request;
    sf::server::InferBatch batch(std::move(request), model, /*in_parts=*/false, "id", "kserve_rest");
    for (size_t i = 0; i < batch.size(); ++i) batch.request(i);
  } catch (const sf::Error&) {
  }
  return 0;
}
