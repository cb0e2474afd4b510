// gRPC's TLS with a certificate that may change while it serves.
//
//   builder.AddListeningPort(address, make_tls_credentials(certificate), &port);
//
// Thread-safe: free functions.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "server/auth/server_certificate.h"

namespace sf::server {

// Each handshake shows what is current when it begins, and with a client authority takes only clients whose certificate
// that one has signed; no TLS session is resumed over a reload. For one port. REQUIRES: outlives its server.
std::shared_ptr<grpc::ServerCredentials> make_tls_credentials(std::shared_ptr<const ServerCertificate> certificate);

}  // namespace sf::server
