#include "engine/base/json_builder.h"

#include <locale.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr size_t kMaxQuotedBytes = 128;       // of a key, in an error
constexpr size_t kMaxNumberBytes = 1024;      // far beyond what a double can tell apart
constexpr size_t kLongStringBytes = 1 << 16;  // from here on a string is moved rather than copied

// The bytes of a string that stand for themselves.
constexpr std::array<bool, 256> make_plain() {
  std::array<bool, 256> plain{};
  for (size_t c = 0x20; c < 256; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}
constexpr std::array<bool, 256> kPlain = make_plain();

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_number_byte(char c) { return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

// Takes digits off the frontend; false if there is none.
bool skip_digits(std::string_view& text) {
  const size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(count);
  return count > 0;
}

// RFC 8259, section 6.
bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0' && is_digit(text[1])) return false;
  if (!skip_digits(text)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!skip_digits(text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (!skip_digits(text)) return false;
  }
  return text.empty();
}

template <typename T>
bool parse_whole(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// std::strtod reads the process's locale, and std::from_chars does not tell overflow from underflow.
double parse_double(const std::string& text) {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  return strtod_l(text.c_str(), nullptr, c_locale);
}

}  // namespace

JsonBuilder::JsonBuilder(std::string name, JsonLimits limits) : name_(std::move(name)), limits_(limits) {}

void JsonBuilder::fail(const std::string& field, const std::string& reason) {
  open_.clear();
  root_ = nullptr;  // a caller may drain its stream before it reports the error
  text_ = {};
  throw invalid_argument(field, name_, ": ", reason);
}

void JsonBuilder::fail_at(const char* at, const std::string& reason) {
  // From 1; a character that began in an earlier piece lies before this one.
  const auto byte = static_cast<ptrdiff_t>(num_read_) + (at - piece_) + 1;
  fail("", concat("not JSON at byte ", byte, ": ", reason));
}

void JsonBuilder::feed(std::string_view piece) {
  piece_ = piece.data();
  const char* const end = piece_ + piece.size();
  const char* at = skip_byte_order_mark(piece_, end);
  while (at != end) {
    switch (state_) {
      case State::kString:
        at = read_string(at, end);
        break;
      case State::kNumber:
        at = read_number(at, end);
        break;
      case State::kLiteral:
        at = read_literal(at, end);
        break;
      case State::kEscape:
        read_escape(at++);
        break;
      case State::kHex:
        read_hex(at++);
        break;
      case State::kLowSlash:
        if (*at != '\\') fail_at(at, "half a surrogate pair");
        state_ = State::kLowU;
        ++at;
        break;
      case State::kLowU:
        if (*at != 'u') fail_at(at, "half a surrogate pair");
        begin_hex();
        ++at;
        break;
      default:
        at = read_structure(at, end);
    }
  }
  if (state_ == State::kString) check_utf8(end, /*whole=*/false);
  num_read_ += piece.size();
}

Json JsonBuilder::finish() {
  piece_ = nullptr;
  if (state_ == State::kNumber) end_number(nullptr);
  if (state_ != State::kEnd) fail_at(nullptr, "the text ends early");
  return std::move(root_);
}

const char* JsonBuilder::skip_byte_order_mark(const char* at, const char* end) {
  while (at != end && num_read_ + static_cast<size_t>(at - piece_) == num_mark_bytes_ &&
         num_mark_bytes_ < kByteOrderMark.size()) {
    if (*at != kByteOrderMark[num_mark_bytes_]) {
      if (num_mark_bytes_ > 0) fail_at(at, "half a byte order mark");
      break;
    }
    ++at;
    ++num_mark_bytes_;
  }
  return at;
}

// --- structure ---

const char* JsonBuilder::read_structure(const char* at, const char* end) {
  while (at != end && is_space(*at)) ++at;
  if (at == end) return at;
  const char c = *at;
  switch (state_) {
    case State::kValue:
      begin_value(at);
      break;
    case State::kFirstItem:
      c == ']' ? end_container() : begin_value(at);
      break;
    case State::kFirstKey:
      c == '}' ? end_container() : begin_key(at);
      break;
    case State::kKey:
      begin_key(at);
      break;
    case State::kColon:
      if (c != ':') fail_at(at, "expected ':'");
      state_ = State::kValue;
      break;
    case State::kAfterValue: {
      const bool in_object = open_.back()->is_object();
      if (c == (in_object ? '}' : ']')) {
        end_container();
      } else if (c == ',') {
        state_ = in_object ? State::kKey : State::kValue;
      } else {
        fail_at(at, in_object ? "expected ',' or '}'" : "expected ',' or ']'");
      }
      break;
    }
    default:  // kEnd
      fail_at(at, "something behind the value");
  }
  return at + 1;
}

void JsonBuilder::begin_value(const char* at) {
  switch (*at) {
    case '{':
      begin_container(Json::object(), State::kFirstKey);
      return;
    case '[':
      begin_container(Json::array(), State::kFirstItem);
      return;
    case '"':
      is_key_ = false;
      begin_text(State::kString);
      return;
    case 't':
      begin_literal("rue", true);
      return;
    case 'f':
      begin_literal("alse", false);
      return;
    case 'n':
      begin_literal("ull", nullptr);
      return;
    default:
      if (!is_digit(*at) && *at != '-') fail_at(at, "expected a value");
      begin_text(State::kNumber);
      text_ += *at;
  }
}

void JsonBuilder::begin_key(const char* at) {
  if (*at != '"') fail_at(at, "expected a key");
  is_key_ = true;
  begin_text(State::kString);
}

void JsonBuilder::begin_text(State state) {
  text_.clear();
  num_checked_ = 0;
  state_ = state;
}

void JsonBuilder::begin_literal(const char* rest, Json value) {
  literal_rest_ = rest;
  literal_ = std::move(value);
  state_ = State::kLiteral;
}

void JsonBuilder::begin_container(Json empty, State first) {
  if (open_.size() >= static_cast<size_t>(limits_.max_depth)) {
    fail(outer_key_, concat("JSON is nested deeper than ", limits_.max_depth, " levels"));
  }
  open_.push_back(&place(std::move(empty)));
  state_ = first;
}

void JsonBuilder::end_container() {
  open_.pop_back();
  value_ended();
}

Json& JsonBuilder::place(Json value) {
  if (++num_values_ > limits_.max_values) {
    fail(outer_key_, concat("JSON has more than ", limits_.max_values, " values"));
  }
  if (open_.empty()) return root_ = std::move(value);
  if (open_.back()->is_object()) return *member_ = std::move(value);
  return open_.back()->get_ref<Json::array_t&>().emplace_back(std::move(value));
}

void JsonBuilder::value_ended() { state_ = open_.empty() ? State::kEnd : State::kAfterValue; }

// --- strings ---

const char* JsonBuilder::read_string(const char* at, const char* end) {
  const char* const begin = at;
  while (at != end && kPlain[static_cast<uint8_t>(*at)]) ++at;
  text_.append(begin, at);
  if (at == end) return at;
  check_utf8(at, /*whole=*/true);
  if (*at == '"') {
    end_string();
  } else if (*at == '\\') {
    state_ = State::kEscape;
  } else {
    fail_at(at, "a control character in a string");
  }
  return at + 1;
}

// `at`: where the bytes of text_ that are not yet checked end in the piece. `whole`: no character goes on behind it.
void JsonBuilder::check_utf8(const char* at, bool whole) {
  std::string_view rest = std::string_view(text_).substr(num_checked_);
  rest.remove_prefix(valid_utf8_prefix(rest));
  if (!rest.empty() && (whole || utf8_front(rest).kind == Utf8Front::Kind::kInvalid)) {
    fail_at(at - rest.size(), "not UTF-8");
  }
  num_checked_ = text_.size() - rest.size();
}

void JsonBuilder::read_escape(const char* at) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (*at == 'u') {
    begin_hex();
    return;
  }
  const size_t found = kNames.find(*at);
  if (found == std::string_view::npos) fail_at(at, "no such escape");
  text_ += kMeanings[found];
  state_ = State::kString;
}

void JsonBuilder::begin_hex() {
  num_hex_digits_ = 0;
  code_unit_ = 0;
  state_ = State::kHex;
}

void JsonBuilder::read_hex(const char* at) {
  unsigned digit = 0;
  if (std::from_chars(at, at + 1, digit, 16).ptr == at) fail_at(at, "expected a hexadecimal digit");
  code_unit_ = code_unit_ << 4 | digit;
  if (++num_hex_digits_ < 4) return;
  const bool is_high = code_unit_ >= 0xd800 && code_unit_ < 0xdc00;
  const bool is_low = code_unit_ >= 0xdc00 && code_unit_ < 0xe000;
  if (is_low != (high_surrogate_ != 0)) fail_at(at, "half a surrogate pair");
  if (is_high) {
    high_surrogate_ = code_unit_;
    state_ = State::kLowSlash;
    return;
  }
  append_utf8(text_, is_low ? 0x10000 + ((high_surrogate_ & 0x3ff) << 10) + (code_unit_ & 0x3ff) : code_unit_);
  high_surrogate_ = 0;
  state_ = State::kString;
}

void JsonBuilder::end_string() {
  if (!is_key_) {
    // Copied to its exact size, or moved where a copy would cost much.
    place(text_.size() < kLongStringBytes ? Json(text_) : Json(std::move(text_)));
    value_ended();
    return;
  }
  if (open_.size() == 1) outer_key_ = text_;
  const auto [member, is_new] = open_.back()->get_ref<Json::object_t&>().try_emplace(text_);
  if (!is_new) {
    const std::string key = text_.substr(0, kMaxQuotedBytes);
    fail(key, concat("duplicate key '", key, "'"));
  }
  member_ = &member->second;
  state_ = State::kColon;
}

// --- numbers and literals ---

const char* JsonBuilder::read_number(const char* at, const char* end) {
  const char* const begin = at;
  while (at != end && is_number_byte(*at)) ++at;
  const size_t room = kMaxNumberBytes - text_.size();
  if (static_cast<size_t>(at - begin) > room) {
    fail_at(begin + room, concat("a number of more than ", kMaxNumberBytes, " characters"));
  }
  text_.append(begin, at);
  if (at != end) end_number(at);
  return at;
}

void JsonBuilder::end_number(const char* at) {
  if (!is_number(text_)) fail_at(at, "malformed number");
  int64_t negative = 0;
  uint64_t positive = 0;
  if (text_[0] == '-' ? parse_whole(text_, negative) : parse_whole(text_, positive)) {
    place(text_[0] == '-' ? Json(negative) : Json(positive));
  } else {
    const double value = parse_double(text_);
    if (!std::isfinite(value)) fail(outer_key_, "a number is out of range");
    place(value);
  }
  value_ended();
}

const char* JsonBuilder::read_literal(const char* at, const char* end) {
  while (at != end && *literal_rest_ != '\0') {
    if (*at++ != *literal_rest_++) fail_at(at - 1, "expected a value");
  }
  if (*literal_rest_ == '\0') {
    place(std::move(literal_));
    value_ended();
  }
  return at;
}

}  // namespace sf
