#include "server/outbound/remote_images.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netdb.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One of the fetches that may be under way at once.
class FetchSlot {
 public:
  FetchSlot(std::atomic<int>& taken, int slots, const std::string& field) : taken_(taken) {
    if (++taken_ <= slots) return;
    --taken_;
    throw Error(Code::kResourceExhausted, concat(field, ": ", slots, " pictures are being fetched, try again later"),
                field, Reason::kQueueFull);
  }
  ~FetchSlot() { --taken_; }
  FetchSlot(const FetchSlot&) = delete;
  FetchSlot& operator=(const FetchSlot&) = delete;

 private:
  std::atomic<int>& taken_;
};

std::vector<std::string> system_addresses(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text);
    }
  }
  return addresses;
}

Error too_large(const std::string& field, size_t max_bytes) {
  return Error(Code::kResourceExhausted, concat(field, ": the picture is larger than ", max_bytes, " bytes"), field,
               Reason::kTooLarge);
}

Error failed(const std::string& field, const std::string& why) {
  return invalid_argument(field, field, ": the picture could not be fetched: ", why);
}

}  // namespace

void check_image_hosts(const std::vector<std::string>& hosts) {
  for (const std::string& host : hosts) {
    if (is_host_name(host)) continue;
    throw invalid_argument("allow-image-host", "allow-image-host: must be a DNS name in lower case, got ", host);
  }
}

RemoteImages::RemoteImages(RemoteImageOptions options) : options_(std::move(options)) {
  check_image_hosts(options_.hosts);
}

std::string RemoteImages::fetch(const std::string& url, const std::string& field) {
  const HttpsUrl parts = parse_https_url(url, field);
  if (std::find(options_.hosts.begin(), options_.hosts.end(), parts.host) == options_.hosts.end()) {
    throw invalid_argument(field, field, ": pictures of ", parts.host, " are not fetched by this server");
  }
  if (parts.port != options_.port) throw invalid_argument(field, field, ": the URL's port must be ", options_.port);
  FetchSlot slot(under_way_, options_.max_at_once, field);
  return download(parts, address_of(parts.host, field), field);
}

std::string RemoteImages::address_of(const std::string& host, const std::string& field) const {
  const std::vector<std::string> addresses = options_.resolve ? options_.resolve(host) : system_addresses(host);
  if (addresses.empty()) throw failed(field, concat(host, " has no address"));
  if (!std::all_of(addresses.begin(), addresses.end(), options_.is_allowed_address)) {
    throw failed(field, concat(host, " has an address that is not public"));
  }
  return addresses.front();
}

std::string RemoteImages::download(const HttpsUrl& url, const std::string& address, const std::string& field) const {
  httplib::SSLClient client(url.host, url.port);
  client.set_hostname_addr_map({{url.host, address}});
  if (!options_.ca_file.empty()) client.set_ca_cert_path(options_.ca_file);
  client.set_follow_location(false);
  client.set_decompress(false);
  client.set_path_encode(false);
  const milliseconds timeout(options_.timeout_ms);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  client.set_max_timeout(timeout);
  const auto deadline = steady_clock::now() + timeout;

  std::string bytes;
  int status = 0;
  bool large = false, late = false;
  const auto on_head = [&](const httplib::Response& response) {
    status = response.status;
    large = response.get_header_value_u64("Content-Length") > options_.max_bytes;
    return status == 200 && !large;
  };
  const auto on_bytes = [&](const char* data, size_t size) {
    large = size > options_.max_bytes - bytes.size();
    late = steady_clock::now() > deadline;
    if (large || late) return false;
    bytes.append(data, size);
    return true;
  };
  const httplib::Headers headers = {{"Accept", "image/*"}, {"Accept-Encoding", "identity"}};
  const httplib::Result result = client.Get(url.target, headers, on_head, on_bytes);
  if (large) throw too_large(field, options_.max_bytes);
  if (status != 0 && status != 200) throw failed(field, concat("its host answered ", status));
  if (late) throw failed(field, concat("it took longer than ", options_.timeout_ms, " ms"));
  if (!result) throw failed(field, httplib::to_string(result.error()));
  if (bytes.empty()) throw failed(field, "it is empty");
  return bytes;
}

}  // namespace sf::server
