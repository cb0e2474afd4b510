// The head of an HTTP/1 request, checked as its bytes come in: what two parsers could read in two ways is refused
// (RFC 9112), so that nothing of one request is ever taken for another.
//
//   HeadParser parser;
//   while (parser.scan(bytes) == HeadParser::State::kMore) read_more(bytes);   // `bytes` only grows
//   const RequestHead& head = parser.head();
//
// Linear in the bytes, however they are cut. One thread only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sf::server {

struct HeadLimits {
  size_t max_bytes = 64 << 10;
  size_t max_request_line = 16 << 10;  // bytes
  size_t max_header_line = 8192;       // bytes, line end included
  int max_headers = 100;
};

// "//v1//answer/" -> "/v1/answer"; "/" stays.
std::string collapse_slashes(std::string_view path);

struct RequestHead {
  std::string method;
  std::string target;     // in origin form: "/v1/answer?x=1"; "*" too
  std::string authority;  // of a target in absolute form, which counts instead of Host
  bool is_http_1_0 = false;
  bool has_body = false;
  bool asks_to_keep = false;  // the connection, by its Connection header or its version
  std::string request_id;     // X-Request-Id as it came
  size_t num_bytes = 0;       // of the head, its empty line and empty lines before it included
  // Why it is refused; empty: it is not. A refused head's other fields may be empty.
  std::string fault = {};
  std::string fault_field = {};  // the header's name

  // The target's path with slashes collapsed, still percent-encoded.
  std::string path() const;
};

class HeadParser {
 public:
  enum class State { kMore, kWhole, kRefused };

  explicit HeadParser(HeadLimits limits = {}) : limits_(limits) {}

  // REQUIRES: `bytes` begins with those of the call before.
  State scan(std::string_view bytes);
  const RequestHead& head() const { return head_; }
  // The head as a parser that knows only the origin form may read it, where that is not `bytes` as they are: empty
  // lines before it are gone, and a target in absolute form has become a Host. REQUIRES: kWhole; `bytes` as scanned.
  std::optional<std::string> rewritten(std::string_view bytes) const;

 private:
  State refuse(std::string fault, std::string field = "");
  bool take_request_line(std::string_view line);
  bool take_target(std::string_view target);
  bool take_header(std::string_view line);
  bool take_content_length(std::string_view value);
  void take_connection(std::string_view value);
  State finish();

  const HeadLimits limits_;
  RequestHead head_;
  size_t scanned_ = 0;
  size_t line_begin_ = 0;
  size_t begin_ = 0;  // of the request line
  bool has_request_line_ = false;
  int num_headers_ = 0, num_hosts_ = 0, num_codings_ = 0;
  bool has_content_type_ = false, has_inference_length_ = false;
  bool says_close_ = false, says_keep_alive_ = false;
  std::optional<std::string> content_length_;
};

}  // namespace sf::server
