// The answers that one connection gave, one by one: what an HTTP client has to find in them.
//
//   const HttpResponses got = parse_responses(connection.read_all(), {.heads = {1}});   // the second is HEAD's
//   ASSERT_EQ(got.trouble, "");
//   EXPECT_EQ(got.all[0].status, 200);
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sf::test {

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers = {};  // names in lower case
  std::string body = {};
  bool ends_with_connection = false;  // nothing else says where the body ends
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  bool closes() const { return header("connection") == "close" || ends_with_connection; }
};

struct HttpResponses {
  std::vector<HttpResponse> all;
  int num_interim = 0;  // 1xx
  std::string trouble;  // why the bytes are not answers; empty: they are
};

struct ParseOptions {
  std::set<size_t> heads = {};  // which answers are to HEAD
};

namespace parsing {

inline bool take_chunks(std::string_view& rest, std::string& body) {
  while (true) {
    const size_t end = rest.find("\r\n");
    if (end == std::string_view::npos || end == 0) return false;
    const size_t size = std::stoul(std::string(rest.substr(0, end)), nullptr, 16);
    rest.remove_prefix(end + 2);
    if (rest.size() < size + 2 || rest.substr(size, 2) != "\r\n") return false;
    body += rest.substr(0, size);
    rest.remove_prefix(size + 2);
    if (size == 0) return true;
  }
}

inline bool take_head(std::string_view& rest, HttpResponse& response) {
  const size_t end = rest.find("\r\n\r\n");
  if (!rest.starts_with("HTTP/1.1 ") || end == std::string_view::npos) return false;
  std::string_view head = rest.substr(0, end + 2);
  rest.remove_prefix(end + 4);
  response.status = std::stoi(std::string(head.substr(9, 3)));
  for (head.remove_prefix(head.find("\r\n") + 2); !head.empty(); head.remove_prefix(head.find("\r\n") + 2)) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return false;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!response.headers.emplace(name, line.substr(colon + 2)).second) return false;  // said twice
  }
  return true;
}

}  // namespace parsing

inline HttpResponses parse_responses(std::string_view rest, const ParseOptions& options = {}) {
  HttpResponses responses;
  while (!rest.empty()) {
    HttpResponse response;
    const std::string_view before = rest;
    if (!parsing::take_head(rest, response)) {
      responses.trouble = "no answer's head: " + std::string(before.substr(0, 200));
      return responses;
    }
    if (response.status < 200) {
      ++responses.num_interim;
      continue;
    }
    const bool has_body = !options.heads.contains(responses.all.size()) && response.status != 204;
    const std::string length = response.header("content-length");
    if (has_body && response.header("transfer-encoding") == "chunked") {
      if (!parsing::take_chunks(rest, response.body)) responses.trouble = "broken chunks";
    } else if (has_body && !length.empty()) {
      if (rest.size() < std::stoul(length)) responses.trouble = "a body that was cut";
      response.body = rest.substr(0, std::stoul(length));
      rest.remove_prefix(response.body.size());
    } else if (has_body) {
      response.ends_with_connection = true;
      response.body = rest;
      rest = {};
    }
    responses.all.push_back(response);
    if (!responses.trouble.empty()) return responses;
    if (response.closes() && !rest.empty()) {
      responses.trouble = "bytes behind an answer that closes: " + std::string(rest.substr(0, 200));
      return responses;
    }
  }
  return responses;
}

}  // namespace sf::test
