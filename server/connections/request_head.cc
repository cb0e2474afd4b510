#include "server/connections/request_head.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
constexpr size_t kMaxRequestIdBytes = 128;

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) || kTokenMarks.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), [](unsigned char c) { return std::tolower(c); });
  return lowered;
}

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string collapse_slashes(std::string_view path) {
  std::string collapsed;
  collapsed.reserve(path.size());
  for (const char c : path) {
    if (c != '/' || collapsed.empty() || collapsed.back() != '/') collapsed += c;
  }
  if (collapsed.size() > 1 && collapsed.back() == '/') collapsed.pop_back();
  return collapsed;
}

std::string RequestHead::path() const { return collapse_slashes(target.substr(0, target.find_first_of("?#"))); }

HeadParser::State HeadParser::refuse(std::string fault, std::string field) {
  head_.fault = std::move(fault);
  head_.fault_field = std::move(field);
  return State::kRefused;
}

HeadParser::State HeadParser::scan(std::string_view bytes) {
  while (true) {
    const size_t end = bytes.find('\n', scanned_);
    scanned_ = end == std::string_view::npos ? bytes.size() : end + 1;
    const size_t limit = has_request_line_ ? limits_.max_header_line : limits_.max_request_line;
    if (scanned_ - line_begin_ > limit) {
      return refuse(
          concat(has_request_line_ ? "a header line" : "the request line", " has more than ", limit, " bytes"));
    }
    if (scanned_ > limits_.max_bytes) {
      return refuse(concat("the request's head has more than ", limits_.max_bytes, " bytes"));
    }
    if (end == std::string_view::npos) return State::kMore;
    if (end == line_begin_ || bytes[end - 1] != '\r') return refuse("a line ends without a carriage return");
    const std::string_view line = bytes.substr(line_begin_, end - 1 - line_begin_);
    const size_t this_line = std::exchange(line_begin_, scanned_);
    if (line.empty() && has_request_line_) return finish();
    if (line.empty()) continue;  // before the request line (RFC 9112, 2.2)
    if (!has_request_line_) begin_ = this_line;
    if (!(has_request_line_ ? take_header(line) : take_request_line(line))) return State::kRefused;
    has_request_line_ = true;
  }
}

bool HeadParser::take_request_line(std::string_view line) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || line.find(' ', first + 1) != last) {
    refuse("the request line is not method, target and version");
    return false;
  }
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1),
                         version = line.substr(last + 1);
  if (!is_token(method)) {
    refuse("the request's method is malformed");
    return false;
  }
  head_.method = method;
  if (!take_target(target)) return false;
  head_.is_http_1_0 = version == "HTTP/1.0";
  if (version == "HTTP/1.1" || head_.is_http_1_0) return true;
  refuse("the request's HTTP version is not 1.1 or 1.0");
  return false;
}

bool HeadParser::take_target(std::string_view target) {
  const bool printable =
      std::none_of(target.begin(), target.end(), [](unsigned char c) { return is_control(c) || c == ' '; });
  if (printable && (target.starts_with('/') || (target == "*" && head_.method == "OPTIONS"))) {
    head_.target = target;
    return true;
  }
  const size_t scheme = target.find("://");
  const std::string name = lower(target.substr(0, scheme == std::string_view::npos ? 0 : scheme));
  if (printable && (name == "http" || name == "https")) {
    const std::string_view rest = target.substr(scheme + 3);
    const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    head_.authority = rest.substr(0, end);
    head_.target = concat(rest.substr(end).starts_with('/') ? "" : "/", rest.substr(end));
    if (!head_.authority.empty() && head_.authority.find('@') == std::string::npos) return true;
  }
  head_.target.clear();
  refuse("the request's target is malformed");
  return false;
}

bool HeadParser::take_header(std::string_view line) {
  if (++num_headers_ > limits_.max_headers) {
    refuse(concat("the request has more than ", limits_.max_headers, " headers"));
    return false;
  }
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || !is_token(name)) {
    refuse("a header has no name, or one with a space or a line break");
    return false;
  }
  const std::string_view value = trim(line.substr(colon + 1));
  const std::string key = lower(name);
  if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return is_control(c) && c != '\t'; })) {
    refuse("a header's value holds a control character", std::string(name));
    return false;
  }
  if (key == "host") ++num_hosts_;
  // These say how the body is to be read.
  if ((key == "content-type" && std::exchange(has_content_type_, true)) ||
      (key == "inference-header-content-length" && std::exchange(has_inference_length_, true))) {
    refuse(concat(name, ": may stand there once"), std::string(name));
    return false;
  }
  if (key == "x-request-id" && value.size() <= kMaxRequestIdBytes) head_.request_id = value;
  if (key == "connection") take_connection(value);
  if (key == "content-length") return take_content_length(value);
  if (key != "transfer-encoding") return true;
  ++num_codings_;
  if (lower(value) == "chunked") return true;
  refuse("Transfer-Encoding: only chunked is known", "Transfer-Encoding");
  return false;
}

void HeadParser::take_connection(std::string_view value) {
  while (!value.empty()) {
    const size_t comma = std::min(value.find(','), value.size());
    const std::string option = lower(trim(value.substr(0, comma)));
    if (option == "close") says_close_ = true;
    if (option == "keep-alive") says_keep_alive_ = true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
}

// Digits alone, and if it is said twice, twice the same.
bool HeadParser::take_content_length(std::string_view value) {
  constexpr size_t kMaxDigits = 18;  // more than anything that a body may have, and no 64-bit number overflows
  const bool is_number = !value.empty() && value.size() <= kMaxDigits &&
                         std::all_of(value.begin(), value.end(), [](unsigned char c) { return std::isdigit(c); });
  if (!is_number) {
    refuse("Content-Length: is not a number of bytes", "Content-Length");
    return false;
  }
  if (content_length_ && *content_length_ != value) {
    refuse("Content-Length: two of them differ", "Content-Length");
    return false;
  }
  content_length_ = value;
  return true;
}

HeadParser::State HeadParser::finish() {
  head_.num_bytes = scanned_;
  if (num_hosts_ > 1 || (num_hosts_ == 0 && !head_.is_http_1_0)) {
    return refuse("Host: there must be one", "Host");
  }
  if (num_codings_ > 0 && (num_codings_ > 1 || content_length_ || head_.is_http_1_0)) {
    return refuse("Transfer-Encoding: may stand there once, in HTTP/1.1, without Content-Length", "Transfer-Encoding");
  }
  head_.asks_to_keep = !says_close_ && (says_keep_alive_ || !head_.is_http_1_0);
  head_.has_body =
      num_codings_ > 0 || (content_length_ && content_length_->find_first_not_of('0') != std::string::npos);
  return State::kWhole;
}

std::optional<std::string> HeadParser::rewritten(std::string_view bytes) const {
  if (head_.authority.empty() && begin_ == 0) return std::nullopt;
  const std::string_view whole = bytes.substr(begin_, head_.num_bytes - begin_);
  if (head_.authority.empty()) return std::string(whole);
  std::string text = concat(head_.method, " ", head_.target, head_.is_http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n",
                            "Host: ", head_.authority, "\r\n");
  size_t begin = whole.find("\r\n") + 2;
  while (begin < whole.size()) {
    const size_t end = whole.find("\r\n", begin) + 2;
    const std::string_view line = whole.substr(begin, end - begin);
    if (lower(line.substr(0, 5)) != "host:") text += line;
    begin = end;
  }
  return text;
}

}  // namespace sf::server
