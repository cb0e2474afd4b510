// Any bytes as config.json: the first byte picks the whole model's, or that of an encoder alone.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    if (bytes[0] & 1) {
      sf::parse_vision_config(text);
      return 0;
    }
    // What is accepted has a size that can be counted, and reads back as itself.
    const sf::ModelConfig config = sf::parse_model_config(text);
    const std::string written = sf::to_json(config);
    if (sf::num_weights(config) <= 0 || sf::to_json(sf::parse_model_config(written)) != written) std::abort();
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kInvalidArgument) std::abort();
  }
  return 0;
}
