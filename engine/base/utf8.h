// UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
//
//   if (!is_valid_utf8(question)) throw invalid_argument("question", "not UTF-8");
//
// Thread-safe: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sf {

bool is_valid_utf8(std::string_view text);
// How many bytes of `text` are whole characters, up to the first that is none.
size_t valid_utf8_prefix(std::string_view text);
// REQUIRES: `code_point` is one, and no surrogate.
void append_utf8(std::string& text, uint32_t code_point);

// What `text` begins with.
struct Utf8Front {
  enum class Kind {
    kCharacter,   // one whole character of `length` bytes
    kIncomplete,  // the start of a character whose rest is still missing
    kInvalid,     // `length` bytes that no continuation can make valid
  };
  Kind kind;
  size_t length;
};

// REQUIRES: `text` is not empty.
Utf8Front utf8_front(std::string_view text);

// Effect: takes all that is decided off the beginning of `pending` and returns it, with U+FFFD for invalid bytes. What
// is left in `pending` is the start of one character, at most 3 bytes.
std::string take_whole_utf8(std::string& pending);

}  // namespace sf
