// Strict JSON out of a stream of bytes: pieces of any size go in, one nlohmann::json comes out. Linear in the bytes,
// whatever they are; beside the value itself it keeps the string or number that is being read and the open containers.
//
//   JsonBuilder builder("body", {.max_depth = 32, .max_values = 65536});
//   while (receive(piece)) builder.feed(piece);
//   nlohmann::json value = builder.finish();
//
// Refused: duplicate keys, invalid UTF-8, lone surrogates, numbers out of range, comments, anything behind the value.
// A byte order mark before the value is skipped. One thread only.
#pragma once

#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

struct JsonLimits {
  int max_depth = 32;                                      // nested objects and arrays
  size_t max_values = std::numeric_limits<size_t>::max();  // of all kinds; the name of a member is none
};

class JsonBuilder {
 public:
  // `name`: what the bytes are; every error message starts with it.
  explicit JsonBuilder(std::string name, JsonLimits limits = {});
  JsonBuilder(const JsonBuilder&) = delete;
  JsonBuilder& operator=(const JsonBuilder&) = delete;

  // Errors of both: InvalidArgument with the byte's number, counted from 1 over all pieces, or the limit's name; the
  // field is the duplicate key, for a limit the member of the outermost object. The builder is of no use afterwards.
  void feed(std::string_view piece);
  nlohmann::json finish();

  // What is complete by now: an object lacks the members to come, the last one may be null yet.
  const nlohmann::json& so_far() const { return root_; }

 private:
  enum class State {
    kValue,       // a value must come
    kFirstItem,   // a value or ']'
    kFirstKey,    // a key or '}'
    kKey,         // a key must come
    kColon,       // ':'
    kAfterValue,  // ',' or the end of the container
    kString,      // inside a string, which may be a key
    kEscape,      // behind its backslash
    kHex,         // in the four digits of \u
    kLowSlash,    // behind a high surrogate: a backslash
    kLowU,        // and its 'u'
    kNumber,
    kLiteral,  // true, false or null
    kEnd,      // behind the outermost value
  };

  // Each reads on from `at` and returns where it stopped.
  const char* skip_byte_order_mark(const char* at, const char* end);
  const char* read_structure(const char* at, const char* end);
  const char* read_string(const char* at, const char* end);
  const char* read_number(const char* at, const char* end);
  const char* read_literal(const char* at, const char* end);
  void read_escape(const char* at);
  void read_hex(const char* at);

  void begin_value(const char* at);
  void begin_key(const char* at);
  void begin_text(State state);
  void begin_hex();
  void begin_literal(const char* rest, nlohmann::json value);
  void begin_container(nlohmann::json empty, State first);
  void end_container();
  void end_string();
  void end_number(const char* at);
  void check_utf8(const char* at, bool whole);
  nlohmann::json& place(nlohmann::json value);
  void value_ended();
  [[noreturn]] void fail(const std::string& field, const std::string& reason);
  [[noreturn]] void fail_at(const char* at, const std::string& reason);

  const std::string name_;
  const JsonLimits limits_;
  State state_ = State::kValue;
  nlohmann::json root_;
  std::vector<nlohmann::json*> open_;  // containers, outermost first
  nlohmann::json* member_ = nullptr;   // of the innermost object: the one whose value comes next
  std::string outer_key_;              // of the outermost object: the last one seen
  size_t num_values_ = 0;
  size_t num_read_ = 0;          // bytes of earlier pieces
  const char* piece_ = nullptr;  // the one being read
  std::string text_;             // of the string or number being read
  size_t num_checked_ = 0;       // of its bytes: known to be UTF-8
  bool is_key_ = false;          // that string is one
  unsigned code_unit_ = 0;
  unsigned high_surrogate_ = 0;
  int num_hex_digits_ = 0;
  const char* literal_rest_ = nullptr;  // what of the literal must still come
  nlohmann::json literal_;              // what it then is
  size_t num_mark_bytes_ = 0;           // of a byte order mark
};

}  // namespace sf
