// The page at "/": drop an image, ask, watch the answer stream in. Self-contained, under a strict content policy.
//
// One thread only: routes are added before listener.start(). The handlers are thread-safe.
#pragma once

#include <functional>

#include "server/http/listener.h"

namespace sf::server {

// What the page has to know and cannot: GET of it answers {"grpc_port": 8001}, or null where there is no gRPC.
inline constexpr const char* kPageFacts = "/page.json";

// The page's files and kPageFacts; `grpc_port` as in HttpOptions. REQUIRES, of both: before listener.start().
void register_page(Listener& listener, std::function<int()> grpc_port);
// GET /openapi.json: every route in OpenAPI 3.1, page or not.
void register_openapi(Listener& listener);

}  // namespace sf::server
