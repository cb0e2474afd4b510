// The lines of the server's log that are no request's (engine/base/log.h). A request's: server/service/request_log.h.
//
//   write_line(trouble_log_line("api_keys", error.what()));
//
// Thread-safe: free functions. Each returns a JSON object without a time.
#pragma once

#include <string>

#include "server/auth/certificate_set.h"
#include "server/versions/reloader.h"

namespace sf::server {

// A warning: what it is about, and what went wrong.
std::string trouble_log_line(const std::string& event, const std::string& message);

// Which certificate new connections see.
std::string certificate_log_line(const CertificateSet& set);

std::string reload_log_line(const ReloadEvent& event);

}  // namespace sf::server
