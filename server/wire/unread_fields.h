// What happens to a request's fields that a route does not read: the names that the clients of OpenAI, vLLM, llama.cpp,
// TGI and Ollama send, a row a field. A field that cannot change the answer is ignored, one that could is refused by
// its name unless its value asks for nothing, and so is a name without a row: a misspelt field that is ignored looks
// like one that has no effect.
//
//   for (const auto& [name, value] : body.items()) if (!reads(name)) check_unread_field(name, value);
//
// Thread-safe.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

namespace sf::server {

struct UnreadField {
  const char* name;
  // A JSON array of the values that change nothing, beside null; nullptr: no value does, the field is ignored.
  const char* neutral;
};

// By name.
std::span<const UnreadField> unread_fields();

// Errors: Unimplemented with the field's name (400 over HTTP, INVALID_ARGUMENT over gRPC).
void check_unread_field(const std::string& name, const nlohmann::json& value);

// The same for a value that came as text, in a form.
void check_unread_form_field(const std::string& name, const std::string& value);

// Whether a route reads `name`: `names` is a list of its own.
template <size_t N>
bool is_one_of(const char* const (&names)[N], const std::string& name) {
  return std::find(names, names + N, name) != names + N;
}

// The refusal itself, for fields that a route reads in part. `what`: "calling tools".
[[noreturn]] void throw_not_offered(const std::string& field, const std::string& what);

}  // namespace sf::server
