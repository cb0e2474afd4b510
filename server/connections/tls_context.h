// TLS for accepted sockets.
//
// Thread-safe: free functions.
#pragma once

#include <openssl/types.h>

#include <memory>

#include "server/auth/server_certificate.h"

namespace sf::server {

// A context for the connections of one port: each handshake shows what is current when it begins, and with a client
// authority takes only clients whose certificate that one has signed; no TLS session is resumed over a reload. Writes
// may be partial and repeated from another address. `certificate` must outlive the connections.
// Errors: Internal where OpenSSL refuses a context.
std::shared_ptr<SSL_CTX> make_port_context(const ServerCertificate& certificate);

// The server's side of one connection, before its handshake; null where OpenSSL has no memory.
std::shared_ptr<SSL> make_server_tls(SSL_CTX* context);

}  // namespace sf::server
