// A TLS client that reports what happened in its handshake with a port of ours, HTTP or gRPC.
//
//   const Handshake first = shake_hands(port);
//   const Handshake again = shake_hands(port, {.session = first.session});
//   EXPECT_TRUE(again.resumed);
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace sf::server {

struct HandshakeOptions {
  std::string certificate = {}, key = {};     // PEM files of this client; empty: it has none
  int tls_version = 0;                        // TLS1_2_VERSION, TLS1_3_VERSION; 0: what both know best
  std::shared_ptr<SSL_SESSION> session = {};  // of a connection before: asks to go on with it
};

struct Handshake {
  // The server sent something of its own: in TLS 1.3 it looks at a client's certificate after the client is done.
  bool accepted = false;
  long serial = 0;       // of the certificate that the server showed; 0 if none was seen
  int chain_length = 0;  // how many it showed
  bool resumed = false;
  std::shared_ptr<SSL_SESSION> session = {};
};

// Connects to 127.0.0.1, trusts any certificate, asks for /healthz (HTTP) or nothing (gRPC), reads one byte and hangs
// up. Errors: std::runtime_error where no server listens or a file cannot be used.
Handshake shake_hands(int port, const HandshakeOptions& options = {});

}  // namespace sf::server
