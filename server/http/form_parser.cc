#include "server/http/form_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/error.h"
#include "server/http/header_parameter.h"

namespace sf::server {
namespace {

constexpr size_t kMaxBoundaryBytes = 70;  // RFC 2046, section 5.1.1

[[noreturn]] void fail(const char* reason) { throw invalid_argument("", "the form is malformed: ", reason); }

}  // namespace

std::string form_boundary(std::string_view content_type) {
  const std::string boundary = header_parameter(content_type, "boundary").value_or("");
  const bool printable = std::all_of(boundary.begin(), boundary.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (boundary.empty() || boundary.size() > kMaxBoundaryBytes || !printable) {
    throw invalid_argument("Content-Type", "Content-Type: needs a boundary of 1 to ", kMaxBoundaryBytes,
                           " printable characters");
  }
  return boundary;
}

FormParser::FormParser(const std::string& boundary, FormLimits limits)
    : delimiter_("\r\n--" + boundary), limits_(limits) {}

void FormParser::feed(std::string_view piece) {
  const char* at = piece.data();
  const char* const end = at + piece.size();
  while (at != end && state_ != State::kEpilogue) {
    const bool in_lines = state_ == State::kHeader || state_ == State::kBehindDelimiter;
    at = in_lines ? read_line(at, end) : read_content(at, end);
  }
}

std::vector<FormPart> FormParser::finish() {
  if (state_ != State::kEpilogue) fail("it ends early");
  return std::move(parts_);
}

// The delimiter begins with its only carriage return, so that a match that fails can only begin again at the byte that
// it failed at: every byte is looked at twice at most.
const char* FormParser::read_content(const char* at, const char* end) {
  const auto keep = [&](const char* bytes, size_t size) {
    if (state_ == State::kContent) parts_.back().content.append(bytes, size);
  };
  while (at != end) {
    if (num_matched_ == 0) {
      const void* const found = std::memchr(at, '\r', static_cast<size_t>(end - at));
      const char* const next = found == nullptr ? end : static_cast<const char*>(found);
      keep(at, static_cast<size_t>(next - at));
      if (next == end) return end;
      at = next + 1;
      num_matched_ = 1;
    } else if (*at == delimiter_[num_matched_]) {
      ++at;
      if (++num_matched_ == delimiter_.size()) {
        delimiter_ended();
        return at;
      }
    } else {
      keep(delimiter_.data(), num_matched_);
      num_matched_ = 0;
    }
  }
  return at;
}

void FormParser::delimiter_ended() {
  num_matched_ = 0;
  num_header_bytes_ = 0;
  line_.clear();
  state_ = State::kBehindDelimiter;
}

const char* FormParser::read_line(const char* at, const char* end) {
  const void* const found = std::memchr(at, '\n', static_cast<size_t>(end - at));
  const char* const stop = found == nullptr ? end : static_cast<const char*>(found) + 1;
  num_header_bytes_ += static_cast<size_t>(stop - at);
  if (num_header_bytes_ > limits_.max_header_bytes) {
    throw invalid_argument("", "the form has a part with a header of more than ", limits_.max_header_bytes, " bytes");
  }
  line_.append(at, stop);
  if (state_ == State::kBehindDelimiter && line_.starts_with("--")) {
    state_ = State::kEpilogue;
  } else if (found != nullptr) {
    if (!line_.ends_with("\r\n")) fail("a line of a part's header does not end with CR LF");
    line_.resize(line_.size() - 2);
    line_ended();
    line_.clear();
  }
  return stop;
}

void FormParser::line_ended() {
  if (state_ == State::kBehindDelimiter) {
    // RFC 2046 allows padding here.
    if (line_.find_first_not_of(" \t") != std::string::npos) fail("something behind a boundary");
    name_.clear();
    has_name_ = false;
    state_ = State::kHeader;
    return;
  }
  if (line_.empty()) {
    begin_part();
    return;
  }
  const size_t colon = line_.find(':');
  if (colon == std::string::npos) fail("a line of a part's header has no colon");
  const std::string_view value = std::string_view(line_).substr(colon + 1);
  if (header_value_name(std::string_view(line_).substr(0, colon)) != "content-disposition") return;
  if (header_value_name(value) != "form-data") fail("a part is no form-data");
  std::optional<std::string> name = header_parameter(value, "name");
  if (!name) return;
  name_ = *std::move(name);
  has_name_ = true;
}

void FormParser::begin_part() {
  if (!has_name_) fail("a part has no name");
  if (parts_.size() == limits_.max_parts) {
    throw invalid_argument("", "the form has more than ", limits_.max_parts, " parts");
  }
  parts_.push_back({std::move(name_), ""});
  state_ = State::kContent;
}

}  // namespace sf::server
