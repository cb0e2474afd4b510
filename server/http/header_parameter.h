// The parameters behind a header's value: `form-data; name="image"; filename=a.png` (RFC 9110, section 5.6.6).
//
//   std::optional<std::string> boundary = header_parameter(content_type, "boundary");
//
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sf::server {

// What stands before the first ';', in small letters and without the white space around it.
std::string header_value_name(std::string_view header);

// The parameter of that name, whose case does not matter; quotes are taken off and \" and \\ understood. Nothing if
// there is none. Errors: InvalidArgument if there are two. REQUIRES: `name` is in small letters. Thread-safe.
std::optional<std::string> header_parameter(std::string_view header, std::string_view name);

}  // namespace sf::server
