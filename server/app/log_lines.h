// The server's log: where its JSON lines go, and those that are no request's.
#pragma once

#include <string>

#include "server/auth/certificate_set.h"
#include "server/versions/reloader.h"

namespace sf::server {

// The same JSON object with `time` (RFC 3339, UTC, milliseconds) in front. REQUIRES: `line` is an object with a member.
std::string stamped(const std::string& line, double unix_s);

// A warning: what it is about, and what went wrong.
std::string trouble_log_line(const std::string& event, const std::string& message);

// Which certificate new connections see.
std::string certificate_log_line(const CertificateSet& set);

std::string reload_log_line(const ReloadEvent& event);

// Effect: standard error gets the object and a line's end in one write, so that lines of several threads never mix.
void write_log_line(const std::string& json);

}  // namespace sf::server
