// Who may call: keys in a file, known by their SHA-256 only, with what each may do and how often.
//
//     # name   sha256 of the key, in hex                                          scopes       [requests a minute]
//     alice    5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5   infer        600
//     ops      ...                                                                infer,admin
//
//   KeyRing keys(parse_api_keys(text), [] { return static_cast<double>(std::time(nullptr)); });
//   const std::string name = keys.admit(authorization_header, Access::kInfer);  // throws where it may not
//
// Keys have to be long random strings (openssl rand -hex 32): a digest without salt hides nothing that can be guessed.
//
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/mutex.h"

namespace sf::server {

struct ApiKey {
  std::string name;    // letters, digits and "._-", at most 64: in logs and as the tenant of caches, never secret
  std::string sha256;  // 64 lower-case hex digits
  bool infer = false;
  bool admin = false;
  double requests_per_minute = 0;  // 0 = no limit
};

// Thread-safe. Errors: InvalidArgument (field "api-keys") naming the file and the line, never what stands in it; also
// for the digest of no key at all (an empty text, white space, what a script prints for a variable that is not set),
// which would open the server to any client.
std::vector<ApiKey> parse_api_keys(std::string_view text, const std::string& file = "line ");

// The keys of a file; errors say `path:line`. Errors: those of parse_api_keys and of read_mounted_file.
std::vector<ApiKey> read_api_keys(const std::string& path);

// What is wrong with a key that is to be given out; empty where nothing is.
std::string wrong_with_key(std::string_view key);

// 64 lower-case hex digits.
std::string hash_api_key(std::string_view key);

enum class Access {
  kPublic,  // no key is asked for: health, the page
  kAnyKey,  // reading: models, versions, metrics
  kInfer,   // questions; these count against the key's rate
  kAdmin,   // what changes the server
};

// ResourceExhausted, and when the key may call again.
class RateLimited final : public Error {
 public:
  RateLimited(const std::string& message, int retry_after_s)
      : Error(Code::kResourceExhausted, message), retry_after_s_(retry_after_s) {}
  int retry_after_s() const { return retry_after_s_; }

 private:
  int retry_after_s_;
};

// REQUIRES: called while an exception is being handled. The seconds that a RateLimited names; else `otherwise`.
inline int thrown_retry_after_s(int otherwise) {
  try {
    throw;
  } catch (const RateLimited& error) {
    return error.retry_after_s();
  } catch (...) {
    return otherwise;
  }
}

// What KeyRing takes, from the headers Authorization ("Bearer KEY") and X-Api-Key (the key alone); each may be empty.
// Errors: Unauthenticated where they hold different keys.
std::string join_credentials(std::string_view authorization, std::string_view api_key);

// Thread-safe.
class KeyRing {
 public:
  // `now_s`: a steady clock.
  KeyRing(std::vector<ApiKey> keys, std::function<double()> now_s);

  // `authorization`: "Bearer KEY", as in HTTP's header. Returns the key's name; empty for kPublic. Takes the same time
  // whichever key it is and whether it is one. An empty key is none, whatever the file holds. Errors: Unauthenticated
  // without a key that is known; PermissionDenied for one without the scope; RateLimited.
  std::string admit(std::string_view authorization, Access access);

  // The key's name, or empty. No limit is counted.
  std::string name_of(std::string_view authorization) const;

  // Effect: these keys count from the next call on; a name that stays keeps what it has used.
  void replace(std::vector<ApiKey> keys);

 private:
  struct Bucket {
    double tokens = 0;
    double filled_at_s = 0;
  };

  const ApiKey* find(std::string_view authorization) const SF_REQUIRES(mutex_);
  void take_token(const ApiKey& key) SF_REQUIRES(mutex_);

  const std::function<double()> now_s_;
  mutable Mutex mutex_;
  std::vector<ApiKey> keys_ SF_GUARDED_BY(mutex_);
  std::map<std::string, Bucket> buckets_ SF_GUARDED_BY(mutex_);  // by name
};

}  // namespace sf::server
