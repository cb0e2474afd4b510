// The page at "/": drop a picture, ask, watch the answer stream in. Self-contained, under a strict content policy.
#pragma once

#include "server/http/listener.h"

namespace sf::server {

// REQUIRES, of both: before listener.start().
void register_page(Listener& listener);
// GET /openapi.json: every route in OpenAPI 3.1, page or not.
void register_openapi(Listener& listener);

}  // namespace sf::server
