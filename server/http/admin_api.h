// Versions and experts over HTTP. Reading is for any client that is let in; the commands stand on the management port,
// and on the public one only where keys are asked for.
//
//   register_version_routes(listener, service);
//
// One thread only: routes are added before listener.start(). The handlers are thread-safe.
#pragma once

#include "server/http/listener.h"

namespace sf::server {

// GET /v1/versions and /v1/experts. REQUIRES of both: before listener.start(); `service` outlives the listener.
void register_version_routes(Listener& listener, Service& service);

// POST /v1/admin/load {"version": 3}, /v1/admin/pin {"version": 3} (none: the served one), /v1/admin/unpin and
// /v1/admin/rollback {}. JSON only: no form of a foreign web page can send that. Each answers when it is done.
void register_admin_routes(Listener& listener, Service& service);

}  // namespace sf::server
