#pragma once

#include <openssl/ssl.h>
#include <string>

namespace sf::server::examples_server_auth {

extern SSL* const connection;
extern const std::string authorization_header;

}  // namespace sf::server::examples_server_auth
