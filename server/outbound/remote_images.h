// Images that a request names by URL, from the hosts that the operator allows. Off without hosts.
//
//   RemoteImages images({.hosts = {"images.example.com"}, .max_bytes = 10 << 20});
//   const std::string bytes = images.fetch("https://images.example.com/a.png", "image");
//
// The name is resolved once, each of its addresses has to be public, and the connection goes to one that was checked:
// a name that changes in between gains nothing. Redirects are not followed; size and time are bounded.
// Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "server/outbound/address_rules.h"

namespace sf::server {

struct RemoteImageOptions {
  std::vector<std::string> hosts;  // names that may be asked, exactly
  size_t max_bytes = 10 << 20;     // of one image
  int timeout_ms = 5000;           // of one fetch, its connection and all that is read
  int max_at_once = 8;             // each holds a request's thread
  int port = 443;                  // the only one
  // Numeric addresses of a name; empty if it has none. Null: the system's resolver.
  std::function<std::vector<std::string>(const std::string& host)> resolve = {};
  std::function<bool(const std::string& address)> is_allowed_address = is_public_address;
  std::string ca_file = {};  // PEM authorities; empty = the system's
};

class RemoteImages {
 public:
  // Errors: InvalidArgument, field allow-image-host, for a host that is no DNS name in lower case.
  explicit RemoteImages(RemoteImageOptions options);

  // The bytes of the image, not looked at. Blocks, for about timeout_ms at most.
  // Errors, all naming `field`: InvalidArgument for a URL or host that is not allowed and for a fetch that fails;
  // ResourceExhausted/kTooLarge; ResourceExhausted/kQueueFull while max_at_once others are under way.
  std::string fetch(const std::string& url, const std::string& field);

 private:
  std::string address_of(const std::string& host, const std::string& field) const;
  std::string download(const HttpsUrl& url, const std::string& address, const std::string& field) const;

  const RemoteImageOptions options_;
  std::atomic<int> under_way_{0};
};

// Errors: as RemoteImages'.
void check_image_hosts(const std::vector<std::string>& hosts);

}  // namespace sf::server
