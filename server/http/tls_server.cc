#include "server/http/tls_server.h"

#include <openssl/ssl.h>

#include <utility>

#include "engine/base/error.h"

namespace sf::server {
namespace {

// Gives a connection the certificate that is current as its client says hello, before anything is chosen.
int choose_certificate(SSL* connection, int* alert, void* server_certificate) {
  const CertificateSetPtr set = static_cast<const ServerCertificate*>(server_certificate)->current();
  // A session that began under another set may not be resumed: its client's certificate would not be looked at again.
  const auto* session_group = reinterpret_cast<const unsigned char*>(&set->generation);
  if (SSL_set_SSL_CTX(connection, set->context.get()) != nullptr &&
      SSL_set_session_id_context(connection, session_group, sizeof(set->generation)) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_CLIENT_HELLO_ERROR;
}

class TlsServer final : public httplib::SSLServer {
 public:
  explicit TlsServer(std::shared_ptr<const ServerCertificate> certificate)
      : SSLServer([&certificate](void* context) { return set_up(static_cast<SSL_CTX*>(context), *certificate); }),
        certificate_(std::move(certificate)) {}

 private:
  static bool set_up(SSL_CTX* context, const ServerCertificate& certificate) {
    SSL_CTX_set_client_hello_cb(context, choose_certificate, const_cast<ServerCertificate*>(&certificate));
    if (certificate.asks_clients()) {
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    return true;
  }

  const std::shared_ptr<const ServerCertificate> certificate_;
};

}  // namespace

std::unique_ptr<httplib::Server> make_library_server(std::shared_ptr<const ServerCertificate> certificate) {
  if (!certificate) return std::make_unique<httplib::Server>();
  auto server = std::make_unique<TlsServer>(std::move(certificate));
  SF_CHECK(server->is_valid(), "tls: OpenSSL has no context for this port");
  return server;
}

}  // namespace sf::server
