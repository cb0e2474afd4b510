// What a request needs to be let in, by its method and path alone: what is not named here needs a key, so that a
// new route is closed until it is opened here.
//
// Thread-safe: free functions.
#pragma once

#include <httplib.h>

#include <string>

#include "server/auth/api_keys.h"

namespace sf::server {

// /v2/health/live, /v2/health/ready and their aliases.
bool is_health(const std::string& path);

// Health and the page need no key; /v1/admin and loading through /v2/repository need scope admin; any other POST scope
// infer; the rest any key. Thread-safe.
Access access_of(const std::string& method, const std::string& path);

// Effect: lets the request pass, or throws as KeyRing::admit does; then 401 names the scheme and 429 the time to wait.
void admit_request(KeyRing& keys, const httplib::Request& request, httplib::Response& response);

// The name of the key that a request came with; empty where no keys are asked for (`keys` is null) or it is unknown.
std::string caller_of(const KeyRing* keys, const httplib::Request& request);

}  // namespace sf::server
