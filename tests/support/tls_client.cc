#include "tests/support/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string_view>

namespace sf::server {
namespace {

constexpr unsigned char kProtocols[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr std::string_view kRequest = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

class Socket {
 public:
  explicit Socket(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return;
    close(fd_);
    throw std::runtime_error("nobody listens on port " + std::to_string(port));
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

std::shared_ptr<SSL_CTX> make_context(const HandshakeOptions& options) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (options.tls_version != 0) {
    SSL_CTX_set_min_proto_version(context.get(), options.tls_version);
    SSL_CTX_set_max_proto_version(context.get(), options.tls_version);
  }
  SSL_CTX_set_alpn_protos(context.get(), kProtocols, sizeof(kProtocols));
  if (options.certificate.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw std::runtime_error("cannot use " + options.certificate);
  }
  return context;
}

bool speaks_h2(const SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  return std::string_view(reinterpret_cast<const char*>(protocol), size) == "h2";
}

bool hears_from_server(SSL* ssl) {
  if (!speaks_h2(ssl) && SSL_write(ssl, kRequest.data(), static_cast<int>(kRequest.size())) <= 0) return false;
  char byte = 0;
  return SSL_read(ssl, &byte, 1) == 1;
}

}  // namespace

Handshake shake_hands(int port, const HandshakeOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to a server that refused us and has hung up
  const std::shared_ptr<SSL_CTX> context = make_context(options);
  const Socket socket(port);
  const std::shared_ptr<SSL> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), socket.fd());
  if (options.session) SSL_set_session(ssl.get(), options.session.get());
  Handshake shaken;
  const bool connected = SSL_connect(ssl.get()) == 1;
  if (const X509* shown = SSL_get0_peer_certificate(ssl.get())) {
    shaken.serial = ASN1_INTEGER_get(X509_get0_serialNumber(shown));
    shaken.chain_length = sk_X509_num(SSL_get_peer_cert_chain(ssl.get()));
  }
  shaken.resumed = connected && SSL_session_reused(ssl.get()) == 1;
  shaken.accepted = connected && hears_from_server(ssl.get());
  if (shaken.accepted) {
    shaken.session.reset(SSL_get1_session(ssl.get()), SSL_SESSION_free);
    SSL_shutdown(ssl.get());  // a session of a connection that was cut is not resumed
  }
  ERR_clear_error();
  return shaken;
}

}  // namespace sf::server
