// Any bytes as manifest.json. The checksum is put right first, or the fuzzer would never get behind it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/base/error.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/sha256.h"

namespace {

void parse(const std::string& bytes) {
  try {
    const sf::Manifest manifest = sf::parse_manifest(bytes);
    if (sf::parse_manifest(sf::manifest_to_json(manifest)) != manifest) std::abort();
    for (const auto& [name, file] : manifest.files) {
      if (!sf::is_plain_file_name(name) || file.size < 0) std::abort();
    }
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kDataLoss && error.code() != sf::Code::kFailedPrecondition) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  parse(bytes);
  const size_t tail_size = 64 + 4;  // 64 digits, then the closing quote, newline, brace, newline
  if (size < tail_size) return 0;
  std::string sealed = bytes;
  sealed.replace(size - tail_size, 64, std::string(64, '0'));
  sealed.replace(size - tail_size, 64, sf::sha256_hex(sealed));
  parse(sealed);
  return 0;
}
