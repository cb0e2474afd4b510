// A client that asks again where that can help: the server was full, loading, draining or away.
//
//   auto client = with_retries(make_grpc_client("127.0.0.1:8001"), {.max_attempts = 4});
//   Answer answer = client->ask(question);  // waits as long as the server's Retry-After says, then asks again
//
// Asked again: what the server refused with a time to wait (429 and 503 with Retry-After, RESOURCE_EXHAUSTED and
// UNAVAILABLE with RetryInfo), and UNAVAILABLE without one, after a back-off that doubles. Never: a question that is
// wrong, an image too large, a deadline that passed, a stream that has given text, a command to the server (`tell`).
//
// Thread-safe if the client inside and RetryOptions::sleep are.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "client/client.h"

namespace sf::client {

struct RetryOptions {
  int max_attempts = 4;                            // the first one included; 1 = no retries
  std::chrono::milliseconds initial_backoff{100};  // where the server names no time; doubles each time
  std::chrono::milliseconds max_backoff{5000};
  std::chrono::milliseconds max_total_wait{
      30000};  // over all waits of one call; a longer Retry-After is not waited for
  // Waits; tests count instead. Called with the time to wait.
  std::function<void(std::chrono::milliseconds)> sleep = {};
};

// A question's `timeout_ms` is for all attempts and waits together: each
// attempt is given what is left of it. Errors: that of the last attempt.
std::unique_ptr<Client> with_retries(std::unique_ptr<Client> client, RetryOptions options = {});

}  // namespace sf::client
