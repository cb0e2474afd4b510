// The page at "/": drop a picture, ask, watch the answer stream in. Self-contained, under a strict content policy.
#pragma once

#include "server/http/listener.h"

namespace sf::server {

// REQUIRES: before listener.start().
void register_page(Listener& listener);

}  // namespace sf::server
