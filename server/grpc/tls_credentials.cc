#include "server/grpc/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <optional>
#include <string>
#include <utility>

namespace sf::server {
namespace {

// The C++ library can only take a certificate for good, or look at files in intervals; its C core asks at every
// handshake.
class TlsCredentials final : public grpc::ServerCredentials {
 public:
  explicit TlsCredentials(std::shared_ptr<const ServerCertificate> certificate)
      : certificate_(std::move(certificate)),
        core_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                certificate_->asks_clients() ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
                fetch, this))) {}
  ~TlsCredentials() override { grpc_server_credentials_release(core_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}  // we have none

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), core_);
  }

  // gRPC holds its own lock around this.
  static grpc_ssl_certificate_config_reload_status fetch(void* self, grpc_ssl_server_certificate_config** config) {
    auto& credentials = *static_cast<TlsCredentials*>(self);
    const CertificateSetPtr set = credentials.certificate_->current();
    if (credentials.handed_out_ == set->generation) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{set->key_pem.c_str(), set->chain_pem.c_str()};
    // gRPC 1.51 aborts without authorities here; where no client is asked for a certificate they are not used.
    const std::string& authorities = set->client_ca_pem.empty() ? set->chain_pem : set->client_ca_pem;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
    credentials.handed_out_ = set->generation;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const std::shared_ptr<const ServerCertificate> certificate_;
  std::optional<uint64_t> handed_out_;  // the generation
  grpc_server_credentials* const core_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> make_tls_credentials(std::shared_ptr<const ServerCertificate> certificate) {
  return std::make_shared<TlsCredentials>(std::move(certificate));
}

}  // namespace sf::server
