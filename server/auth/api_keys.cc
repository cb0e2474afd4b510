#include "server/auth/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>
#include <utility>

#include "server/auth/mounted_file.h"

namespace sf::server {
namespace {

constexpr size_t kHexDigits = 64;
constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxNameBytes = 64;
constexpr double kMaxRequestsPerMinute = 1e9;

// `line`: "line 3", or "FILE:3".
Error wrong_line(const std::string& line, const std::string& what) {
  return Error(Code::kInvalidArgument, concat("api-keys: ", line, ": ", what), "api-keys");
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

bool is_digest(std::string_view text) {
  return text.size() == kHexDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// What comes out where a script hashes a key that it does not have.
const std::set<std::string>& digests_of_no_key() {
  static const std::set<std::string> digests = [] {
    std::set<std::string> all;
    for (const std::string word : {"", " ", "\t", "-", "\"\"", "''", "null", "None", "nil", "undefined", "Bearer"}) {
      for (const char* end : {"", "\n", "\r\n", "\r"}) all.insert(hash_api_key(word + end));
    }
    all.insert(hash_api_key(std::string(1, '\0')));
    return all;
  }();
  return digests;
}

void read_scopes(const std::string& text, const std::string& line, ApiKey& key) {
  std::istringstream scopes(text);
  for (std::string scope; std::getline(scopes, scope, ',');) {
    if (scope == "infer") {
      key.infer = true;
    } else if (scope == "admin") {
      key.admin = true;
    } else {
      throw wrong_line(line, "scopes are infer and admin, with a comma between them");
    }
  }
}

ApiKey read_key(const std::string& text, const std::string& line) {
  std::istringstream words(text);
  ApiKey key;
  std::string scopes, rate, more;
  words >> key.name >> key.sha256 >> scopes >> rate >> more;
  if (scopes.empty() || !more.empty()) throw wrong_line(line, "must be: name sha256 scopes [requests a minute]");
  if (!is_name(key.name)) throw wrong_line(line, "the name must be 1 to 64 letters, digits, dots, dashes");
  if (!is_digest(key.sha256)) throw wrong_line(line, "the sha256 must be 64 lower-case hex digits");
  if (digests_of_no_key().contains(key.sha256)) throw wrong_line(line, "this is the sha256 of no key at all");
  read_scopes(scopes, line, key);
  if (rate.empty()) return key;
  const auto [end, error] = std::from_chars(rate.data(), rate.data() + rate.size(), key.requests_per_minute);
  const bool whole = error == std::errc() && end == rate.data() + rate.size();
  if (!whole || !(key.requests_per_minute > 0) || key.requests_per_minute > kMaxRequestsPerMinute) {
    throw wrong_line(line, "requests a minute must be a number above 0");
  }
  return key;
}

// What stands behind "Bearer "; empty for anything else.
std::string_view bearer_key(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(authorization[i])) != kScheme[i]) return {};
  }
  std::string_view key = authorization.substr(kScheme.size());
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!key.empty() && is_blank(key.front())) key.remove_prefix(1);
  while (!key.empty() && is_blank(key.back())) key.remove_suffix(1);
  return key;
}

}  // namespace

std::string hash_api_key(std::string_view key) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  SF_CHECK(EVP_Digest(key.data(), key.size(), digest, &size, EVP_sha256(), nullptr) == 1 && size * 2 == kHexDigits,
           "api-keys: SHA-256 failed");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex.push_back("0123456789abcdef"[digest[i] >> 4]);
    hex.push_back("0123456789abcdef"[digest[i] & 15]);
  }
  return hex;
}

std::string wrong_with_key(std::string_view key) {
  if (key.empty()) return "it is empty";
  const auto is_visible = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(key.begin(), key.end(), is_visible)) {
    return "it holds a space, a control character or one beyond ASCII, which no header carries";
  }
  return digests_of_no_key().contains(hash_api_key(key)) ? "it is no key, but what a script prints for none" : "";
}

std::vector<ApiKey> parse_api_keys(std::string_view text, const std::string& file) {
  std::vector<ApiKey> keys;
  std::set<std::string> names, digests;
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = concat(file, number);
    ApiKey key = read_key(line, where);
    if (!names.insert(key.name).second) throw wrong_line(where, "this name stands there twice");
    if (!digests.insert(key.sha256).second) throw wrong_line(where, "this key stands there twice");
    keys.push_back(std::move(key));
  }
  if (keys.empty()) throw Error(Code::kInvalidArgument, "api-keys: the file holds no key", "api-keys");
  return keys;
}

std::vector<ApiKey> read_api_keys(const std::string& path) {
  return parse_api_keys(read_mounted_file(path, kMaxFileBytes), path + ":");
}

std::string join_credentials(std::string_view authorization, std::string_view api_key) {
  if (api_key.empty()) return std::string(authorization);
  if (!authorization.empty() && bearer_key(authorization) != api_key) {
    throw Error(Code::kUnauthenticated, "Authorization: X-Api-Key holds another key", "Authorization");
  }
  return concat("Bearer ", api_key);
}

KeyRing::KeyRing(std::vector<ApiKey> keys, std::function<double()> now_s) : now_s_(std::move(now_s)) {
  replace(std::move(keys));
}

const ApiKey* KeyRing::find(std::string_view authorization) const {
  const std::string_view presented = bearer_key(authorization);
  const std::string digest = hash_api_key(presented);
  const ApiKey* found = nullptr;
  for (const ApiKey& key : keys_) {  // all of them: the time says nothing of them
    if (!presented.empty() && CRYPTO_memcmp(key.sha256.data(), digest.data(), kHexDigits) == 0) found = &key;
  }
  return found;
}

std::string KeyRing::admit(std::string_view authorization, Access access) {
  if (access == Access::kPublic) return "";
  MutexLock lock(mutex_);
  const ApiKey* const key = find(authorization);
  if (key == nullptr) {
    throw Error(Code::kUnauthenticated, "Authorization: a known key is needed, as Bearer KEY", "Authorization");
  }
  if ((access == Access::kInfer && !key->infer) || (access == Access::kAdmin && !key->admin)) {
    throw Error(Code::kPermissionDenied,
                concat("Authorization: this key has no scope ", access == Access::kInfer ? "infer" : "admin"),
                "Authorization");
  }
  if (access == Access::kInfer) take_token(*key);
  return key->name;
}

std::string KeyRing::name_of(std::string_view authorization) const {
  MutexLock lock(mutex_);
  const ApiKey* const key = find(authorization);
  return key ? key->name : "";
}

// A token bucket that holds one minute's worth.
void KeyRing::take_token(const ApiKey& key) {
  if (key.requests_per_minute <= 0) return;
  const double capacity = std::max(1.0, key.requests_per_minute);
  const double per_second = key.requests_per_minute / 60;
  const double now_s = now_s_();
  Bucket& bucket = buckets_[key.name];
  bucket.tokens = std::min(capacity, bucket.tokens + (now_s - bucket.filled_at_s) * per_second);
  bucket.filled_at_s = now_s;
  if (bucket.tokens < 1) {
    const int wait_s = std::max(1, static_cast<int>(std::ceil((1 - bucket.tokens) / per_second)));
    throw RateLimited(concat("rate limit: this key may send ", key.requests_per_minute, " requests a minute"), wait_s);
  }
  bucket.tokens -= 1;
}

void KeyRing::replace(std::vector<ApiKey> keys) {
  MutexLock lock(mutex_);
  std::map<std::string, Bucket> buckets;
  for (const ApiKey& key : keys) {
    const auto before = buckets_.find(key.name);
    const Bucket full{std::max(1.0, key.requests_per_minute), now_s_()};
    buckets[key.name] = before == buckets_.end() ? full : before->second;
  }
  keys_ = std::move(keys);
  buckets_ = std::move(buckets);
}

}  // namespace sf::server
