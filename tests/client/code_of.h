// How a call of the client ended: the code of what it threw, "OK" if it threw nothing.
//
//   EXPECT_EQ(code_of([&] { client->ask(question); }), "INVALID_ARGUMENT");
#pragma once

#include <string>

#include "client/client.h"

namespace sf::client {

template <typename Call>
std::string code_of(const Call& call) {
  try {
    call();
  } catch (const ClientError& error) {
    return error.code();
  }
  return "OK";
}

}  // namespace sf::client
