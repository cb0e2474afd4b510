#include "server/connections/tls_context.h"

#include <openssl/ssl.h>

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

}  // namespace

std::shared_ptr<SSL_CTX> make_port_context(const ServerCertificate& certificate) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SF_CHECK(context != nullptr, "tls: OpenSSL has no context for this port");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);  // an idle connection keeps no buffers
  SSL_CTX_set_client_hello_cb(context.get(), choose_certificate, const_cast<ServerCertificate*>(&certificate));
  if (certificate.asks_clients()) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

std::shared_ptr<SSL> make_server_tls(SSL_CTX* context) {
  std::shared_ptr<SSL> tls(SSL_new(context), SSL_free);
  if (tls) SSL_set_accept_state(tls.get());
  return tls;
}

}  // namespace sf::server
