// Where a port's certificate lies. All PEM.
//
// Plain values.
#pragma once

#include <string>

namespace sf::server {

struct TlsFiles {
  std::string certificate;  // the chain, the server's own first; empty = no TLS
  std::string key;          // its private key
  std::string client_ca;    // empty = clients need no certificate; else one that this has signed
  bool is_on() const { return !certificate.empty(); }
};

}  // namespace sf::server
