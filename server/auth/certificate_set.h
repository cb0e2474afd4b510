// A port's certificate, its key and whose clients it takes, as the files hold them: read whole, checked as one set.
//
//   const CertificateSet set = read_certificate_set({"chain.pem", "key.pem", "clients.pem"});
//   SSL_set_SSL_CTX(connection, set.context.get());     // OpenSSL's users
//   use(set.chain_pem, set.key_pem);                    // who brings a TLS of its own
//
// Immutable after it was read.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "server/auth/tls_files.h"

namespace sf::server {

struct CertificateSet {
  // Written anew from what was parsed and checked, so that no other parser can read something else out of the files.
  std::string chain_pem;      // the server's own first
  std::string key_pem;        // without a passphrase
  std::string client_ca_pem;  // empty = clients need no certificate
  // Holds all of it; for new connections of a server, of any number of threads. Whether clients are asked for a
  // certificate is the connection's setting, not this one's.
  std::shared_ptr<SSL_CTX> context;
  std::string serial;       // of the server's own: hex, as `openssl x509 -serial` prints it
  std::string not_after;    // RFC 3339, UTC
  uint64_t generation = 0;  // counts the sets of a ServerCertificate
};

// Effect: reads every file and follows symbolic links; never asks for a passphrase. Blocks.
// Errors: InvalidArgument (field: the flag) that names the flag and the file at fault: missing, too large, not PEM, cut
// off, a key that is encrypted or of another certificate. REQUIRES: files.is_on().
CertificateSet read_certificate_set(const TlsFiles& files);

}  // namespace sf::server
