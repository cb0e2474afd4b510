// Any bytes as tokenizer_config.json; what is accepted reads back as itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/text/tokenizer_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  try {
    const sf::TokenizerConfig config = sf::parse_tokenizer_config({reinterpret_cast<const char*>(bytes), size});
    if (config.eos_ids.empty()) std::abort();
    const std::string written = sf::to_json(config);
    if (sf::to_json(sf::parse_tokenizer_config(written)) != written) std::abort();
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kInvalidArgument) std::abort();
  }
  return 0;
}
