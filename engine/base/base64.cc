#include "engine/base/base64.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <utility>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoDigit = 0xff;  // any value above 63

constexpr std::array<uint8_t, 256> make_values() {
  std::array<uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  values['-'] = 62;
  values['_'] = 63;
  return values;
}
constexpr std::array<uint8_t, 256> kValues = make_values();

bool is_line_break(char c) { return c == '\r' || c == '\n'; }

template <typename... Args>
[[noreturn]] void fail(const std::string& field, size_t at, const Args&... reason) {
  throw invalid_argument(field, field, ": not base64 at character ", at + 1, ": ", reason...);
}

// `small`: in small letters.
bool equals_ignoring_case(std::string_view text, std::string_view small) {
  return std::equal(text.begin(), text.end(), small.begin(), small.end(),
                    [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

// No encoder writes both alphabets.
void check_alphabet(std::string_view text, const std::string& field) {
  const size_t standard = std::min(text.find('+'), text.find('/'));
  const size_t url_safe = std::min(text.find('-'), text.find('_'));
  if (standard == std::string_view::npos || url_safe == std::string_view::npos) return;
  fail(field, std::max(standard, url_safe), "of another alphabet than what stands before it");
}

// Padding, which begins at `first`: none, or what fills up the last four, of which `num_digits` are there. Line breaks
// may stand between and behind.
void check_padding(std::string_view text, size_t first, size_t num_digits, const std::string& field) {
  size_t num_padding = 0;
  for (size_t at = first; at < text.size(); ++at) {
    if (is_line_break(text[at])) continue;
    if (text[at] != '=') fail(field, at, "something behind the padding");
    ++num_padding;
  }
  const size_t missing = (4 - num_digits) % 4;
  if (missing == 3) fail(field, first, "the text is cut off");
  if (num_padding != 0 && num_padding != missing) {
    fail(field, first, num_padding, " padding characters, where there should be ", missing);
  }
}

class Decoder {
 public:
  Decoder(std::string_view text, size_t num_bytes, const std::string& field) : text_(text), field_(field) {
    bytes_.reserve(num_bytes);
  }

  // Returns how many digits are left, less than four.
  size_t take_digits() {
    while (at_ < text_.size()) {
      if (num_digits_ == 0) take_fours();
      if (at_ < text_.size()) take_one();
    }
    return num_digits_;
  }

  // REQUIRES: not one digit is left.
  std::string finish() {
    if (num_digits_ > 0) {
      bits_ <<= 6 * (4 - num_digits_);
      append(num_digits_ - 1);
      if ((bits_ & (num_digits_ == 2 ? 0xffffu : 0xffu)) != 0) fail(field_, at_ - 1, "bits left over");
    }
    return std::move(bytes_);
  }

 private:
  // As long as nothing stands between the digits.
  void take_fours() {
    while (text_.size() - at_ >= 4) {
      const uint32_t a = value(0), b = value(1), c = value(2), d = value(3);
      if ((a | b | c | d) > 63) return;
      bits_ = a << 18 | b << 12 | c << 6 | d;
      append(3);
      at_ += 4;
    }
  }

  void take_one() {
    const char c = text_[at_];
    if (!is_line_break(c)) {
      if (value(0) > 63) fail(field_, at_, "no character of its alphabets");
      bits_ = bits_ << 6 | value(0);
      if (++num_digits_ == 4) {
        append(3);
        num_digits_ = 0;
        bits_ = 0;
      }
    }
    ++at_;
  }

  uint32_t value(size_t ahead) const { return kValues[static_cast<uint8_t>(text_[at_ + ahead])]; }
  void append(size_t count) {
    for (size_t i = 0; i < count; ++i) bytes_.push_back(static_cast<char>(bits_ >> (16 - 8 * i) & 0xff));
  }

  const std::string_view text_;
  const std::string& field_;
  std::string bytes_;
  size_t at_ = 0;
  uint32_t bits_ = 0;
  size_t num_digits_ = 0;  // since the last four
};

}  // namespace

std::string decode_base64(std::string_view text, size_t max_bytes, const std::string& field) {
  const auto num_breaks = static_cast<size_t>(std::count_if(text.begin(), text.end(), is_line_break));
  const auto num_padding = static_cast<size_t>(std::count(text.begin(), text.end(), '='));
  const size_t num_digits = text.size() - num_breaks - num_padding;
  const size_t num_bytes = num_digits / 4 * 3 + (num_digits % 4 * 3) / 4;
  if (num_bytes > max_bytes) {
    throw Error(Code::kResourceExhausted, concat(field, ": larger than ", max_bytes, " bytes, got ", num_bytes), field,
                Reason::kTooLarge);
  }
  check_alphabet(text, field);
  const size_t padding = std::min(text.find('='), text.size());
  Decoder decoder(text.substr(0, padding), num_bytes, field);
  check_padding(text, padding, decoder.take_digits(), field);
  return decoder.finish();
}

bool is_data_uri(std::string_view text) { return equals_ignoring_case(text.substr(0, 5), "data:"); }

std::string decode_data_uri(std::string_view text, size_t max_bytes, const std::string& field) {
  constexpr std::string_view kMarker = ";base64";
  const size_t comma = text.find(',');
  const std::string_view head = text.substr(0, comma);
  if (comma == std::string_view::npos || head.size() < kMarker.size() ||
      !equals_ignoring_case(head.substr(head.size() - kMarker.size()), kMarker)) {
    throw invalid_argument(field, field, ": a data URI must read data:<type>;base64,<data>");
  }
  return decode_base64(text.substr(comma + 1), max_bytes, field);
}

std::string encode_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? static_cast<uint8_t>(bytes[at + i]) : 0u);
    for (size_t i = 0; i < 4; ++i) text.push_back(i <= count ? kAlphabet[bits >> (18 - 6 * i) & 63] : '=');
  }
  return text;
}

}  // namespace sf
