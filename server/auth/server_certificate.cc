#include "server/auth/server_certificate.h"

#include <utility>

namespace sf::server {

ServerCertificate::ServerCertificate(TlsFiles files)
    : files_(std::move(files)), current_(std::make_shared<const CertificateSet>(read_certificate_set(files_))) {}

CertificateSetPtr ServerCertificate::current() const {
  MutexLock lock(mutex_);
  return current_;
}

CertificateSetPtr ServerCertificate::reload() {
  auto next = std::make_shared<CertificateSet>(read_certificate_set(files_));  // no handshake waits for the disk
  MutexLock lock(mutex_);
  next->generation = current_->generation + 1;
  return current_ = std::move(next);
}

}  // namespace sf::server
