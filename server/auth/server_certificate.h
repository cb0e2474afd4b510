// The certificate of every port, which may change while they serve.
//
//   ServerCertificate certificate({"chain.pem", "key.pem", ""});
//   const CertificateSetPtr set = certificate.current();    // for one handshake: the holder keeps the set alive
//   certificate.reload();                                   // SIGHUP: new handshakes get the new one
//
// Thread-safe.
#pragma once

#include <memory>

#include "engine/base/mutex.h"
#include "server/auth/certificate_set.h"

namespace sf::server {

using CertificateSetPtr = std::shared_ptr<const CertificateSet>;

class ServerCertificate {
 public:
  // Blocks while it reads. Errors: those of read_certificate_set. REQUIRES: files.is_on().
  explicit ServerCertificate(TlsFiles files);

  // Never null, and never half of one set and half of another.
  CertificateSetPtr current() const;
  // Effect: reads the same files again and returns what new handshakes get; open connections keep what they have.
  // Blocks. Errors: those of read_certificate_set, and then nothing has changed.
  CertificateSetPtr reload();
  // Whether clients need a certificate too.
  bool asks_clients() const { return !files_.client_ca.empty(); }

 private:
  const TlsFiles files_;
  mutable Mutex mutex_;
  CertificateSetPtr current_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
