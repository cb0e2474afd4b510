// httplib's server for a port with or without TLS.
#pragma once

#include <httplib.h>

#include <memory>

#include "server/guard/server_certificate.h"

namespace sf::server {

// In the clear where `certificate` is null. Else each handshake shows what is current when it begins, and with a client
// authority takes only clients whose certificate that one has signed; no TLS session is resumed over a reload.
// Errors: Internal where OpenSSL refuses a context.
std::unique_ptr<httplib::Server> make_library_server(std::shared_ptr<const ServerCertificate> certificate);

}  // namespace sf::server
