#include "engine/checkpoint/sha256.h"

#include <openssl/evp.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/yield_to_requests.h"

namespace sf {
namespace {

constexpr size_t kPieceBytes = 256 << 10;  // a millisecond or less

std::string to_hex(const Sha256Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const uint8_t byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  SF_CHECK(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1,
           "sha256: digest failed");
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  SF_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "sha256: digest failed");
}

Sha256Digest Sha256::digest() {
  Sha256Digest digest;
  unsigned int size = 0;
  SF_CHECK(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size) == 1 && size == digest.size(),
           "sha256: digest failed");
  return digest;
}

std::string Sha256::hex() { return to_hex(digest()); }

Sha256Digest sha256(std::string_view bytes) {
  Sha256 whole;
  for (size_t begin = 0; begin < bytes.size(); begin += kPieceBytes) {
    if (begin > 0) yield_to_requests();
    whole.update(bytes.substr(begin, kPieceBytes));
  }
  return whole.digest();
}

std::string sha256_hex(std::string_view bytes) { return to_hex(sha256(bytes)); }

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace sf
