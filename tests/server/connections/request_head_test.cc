// Heads of every kind, cut everywhere: what is taken, what is refused, and that the cuts change nothing.
#include "server/connections/request_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <tuple>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using State = HeadParser::State;

State scan_all(HeadParser& parser, const std::string& bytes, size_t piece) {
  State state = State::kMore;
  for (size_t size = std::min(piece, bytes.size()); state == State::kMore;
       size = std::min(size + piece, bytes.size())) {
    state = parser.scan(std::string_view(bytes).substr(0, size));
    if (size == bytes.size()) break;
  }
  return state;
}

// The same whatever the pieces.
std::string fault_of(const std::string& bytes) {
  HeadParser whole;
  const State state = scan_all(whole, bytes, bytes.size());
  for (const size_t piece : {size_t{1}, size_t{7}, bytes.size() / 2 + 1}) {
    HeadParser parser;
    EXPECT_EQ(scan_all(parser, bytes, piece), state) << bytes;
    EXPECT_EQ(parser.head().fault, whole.head().fault) << bytes;
  }
  EXPECT_NE(state, State::kMore) << bytes;
  return whole.head().fault;
}

std::string post(const std::string& headers) { return "POST /v1/answer HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n"; }

TEST(RequestHeadTest, ReadsWhatARequestIs) {
  HeadParser parser;
  const std::string head =
      "POST /v1/answer?x=1 HTTP/1.1\r\nHost: a.example:8000\r\nContent-Length: 12\r\nX-Request-Id: id-1\r\n\r\n";
  ASSERT_EQ(parser.scan(head + "{\"question\":"), State::kWhole);
  EXPECT_EQ(parser.head().method, "POST");
  EXPECT_EQ(parser.head().target, "/v1/answer?x=1");
  EXPECT_EQ(parser.head().path(), "/v1/answer");
  EXPECT_EQ(parser.head().num_bytes, head.size());
  EXPECT_EQ(parser.head().request_id, "id-1");
  EXPECT_TRUE(parser.head().has_body);
  EXPECT_TRUE(parser.head().asks_to_keep);
  EXPECT_FALSE(parser.head().is_http_1_0);
  EXPECT_EQ(parser.rewritten(head), std::nullopt);
}

TEST(RequestHeadTest, CutsChangeNothing) {
  for (const std::string& head :
       {post(""), post("Content-Length: 5\r\n"), post("Transfer-Encoding: Chunked\r\n"), post("X:\r\nY: \t a \t\r\n"),
        post("X: \xff\xfe\r\na_b: c\r\n"), post("Content-Length: 5\r\nContent-Length: 5\r\n"),
        std::string("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), std::string("OPTIONS * HTTP/1.1\r\nhOST: x\r\n\r\n")}) {
    EXPECT_EQ(fault_of(head), "");
  }
}

TEST(RequestHeadTest, WhatCouldBeReadTwoWaysIsRefused) {
  for (const std::string& headers :
       {std::string("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        std::string("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        std::string("Transfer-Encoding: gzip, chunked\r\n"),
        std::string("Transfer-Encoding: identity\r\n"),
        std::string("Transfer-Encoding:\r\n"),
        std::string("Transfer-Encoding: xchunked\r\n"),
        std::string("Content-Length: 5\r\nContent-Length: 6\r\n"),
        std::string("Content-Length: +5\r\n"),
        std::string("Content-Length: -1\r\n"),
        std::string("Content-Length: 0x5\r\n"),
        std::string("Content-Length: 5,5\r\n"),
        std::string("Content-Length: 5 5\r\n"),
        std::string("Content-Length: 1e2\r\n"),
        std::string("Content-Length:\r\n"),
        std::string("Content-Length: abc\r\n"),
        std::string("Content-Length: 99999999999999999999\r\n"),
        std::string("Content-Length : 5\r\n"),
        std::string("X : a\r\n"),
        std::string(": a\r\n"),
        std::string("no colon\r\n"),
        std::string("two words: a\r\n"),
        std::string("X: a\r\n b\r\n"),
        std::string("X: a\r\n\tb\r\n"),
        std::string(" folded: at once\r\n"),
        std::string("X: a\nY: b\r\n"),
        std::string("X: a\rb\r\n"),
        std::string("X: a\0b\r\n", 8),
        std::string("X\0: a\r\n", 7),
        std::string("X: a\x7f\r\n"),
        std::string("Host: y\r\n"),
        std::string("Content-Type: text/plain\r\nContent-Type: text/plain\r\n"),
        std::string("Inference-Header-Content-Length: 5\r\n") + "inference-header-content-length: 6\r\n",
        std::string("X: ") + std::string(8200, 'a') + "\r\n"}) {
    EXPECT_NE(fault_of(post(headers)), "") << headers;
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_NE(fault_of(post(many)), "") << "101 headers";
}

TEST(RequestHeadTest, RequestLinesThatAreNone) {
  for (const char* line :
       {"GET", "GET /", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / http/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.1 ",
        " GET / HTTP/1.1", "G(T / HTTP/1.1", "GET healthz HTTP/1.1", "GET * HTTP/1.1", "GET ftp://x/ HTTP/1.1",
        "GET http:///v1 HTTP/1.1", "GET http://user@x/ HTTP/1.1", "CONNECT x:443 HTTP/1.1", "\x16\x03\x01\x02",
        "PRI * HTTP/2.0", "GET /a\tb HTTP/1.1"}) {
    EXPECT_NE(fault_of(std::string(line) + "\r\nHost: x\r\n\r\n"), "") << line;
  }
  EXPECT_NE(fault_of("GET / HTTP/1.1\nHost: x\n\n"), "") << "bare line feeds";
  EXPECT_NE(fault_of("GET / HTTP/1.1\r\n\r\n"), "") << "no Host";
  EXPECT_NE(fault_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), "") << "two Hosts";
  EXPECT_NE(fault_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), "") << "chunks of an old client";
}

TEST(RequestHeadTest, SizesAreBoundedBeforeTheEnd) {
  HeadParser line;
  EXPECT_EQ(line.scan("GET /" + std::string(20'000, 'a')), State::kRefused);
  HeadParser header;
  EXPECT_EQ(header.scan("GET / HTTP/1.1\r\nX: " + std::string(9000, 'a')), State::kRefused);
  HeadParser head;
  std::string bytes = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 20; ++i) bytes += "X: " + std::string(4000, 'a') + "\r\n";
  EXPECT_EQ(head.scan(bytes), State::kRefused);
  HeadParser empty_lines;
  std::string breaks;
  while (breaks.size() < 70'000) breaks += "\r\n";
  EXPECT_EQ(empty_lines.scan(breaks), State::kRefused);
}

TEST(RequestHeadTest, ConnectionOptions) {
  const auto keeps = [](const std::string& version, const std::string& headers) {
    HeadParser parser;
    EXPECT_EQ(parser.scan("GET / HTTP/" + version + "\r\nHost: x\r\n" + headers + "\r\n"), State::kWhole);
    return parser.head().asks_to_keep;
  };
  EXPECT_TRUE(keeps("1.1", ""));
  EXPECT_FALSE(keeps("1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: Upgrade , CLOSE\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_TRUE(keeps("1.1", "Connection: closed\r\n"));
  EXPECT_FALSE(keeps("1.0", ""));
  EXPECT_TRUE(keeps("1.0", "Connection: Keep-Alive\r\n"));
}

TEST(RequestHeadTest, AnAbsoluteTargetCountsInsteadOfHost) {
  for (const auto& [target, path, authority] :
       {std::tuple("http://a.example/v1/answer?x", "/v1/answer?x", "a.example"),
        std::tuple("HTTPS://[::1]:8000", "/", "[::1]:8000"), std::tuple("http://a?x", "/?x", "a")}) {
    const std::string head = concat("POST ", target, " HTTP/1.1\r\nX: 1\r\nHOST: other\r\nY: 2\r\n\r\n");
    HeadParser parser;
    ASSERT_EQ(parser.scan(head + "body"), State::kWhole) << target;
    EXPECT_EQ(parser.head().target, path);
    EXPECT_EQ(parser.rewritten(head + "body"),
              concat("POST ", path, " HTTP/1.1\r\nHost: ", authority, "\r\nX: 1\r\nY: 2\r\n\r\n"));
  }
}

TEST(RequestHeadTest, SlashesCollapse) {
  for (const auto& [raw, path] : {std::pair("/", "/"), std::pair("//", "/"), std::pair("/v1/answer/", "/v1/answer"),
                                  std::pair("//v1//answer", "/v1/answer"), std::pair("/v1/answer///", "/v1/answer")}) {
    EXPECT_EQ(collapse_slashes(raw), path);
  }
}

TEST(RequestHeadTest, AByteAtATimeIsLinear) {
  const auto seconds = [](size_t size) {
    std::string head = "GET / HTTP/1.1\r\nHost: x\r\n";
    while (head.size() < size) head += "X: " + std::string(600, 'a') + "\r\n";
    head += "\r\n";
    const std::clock_t begin = std::clock();  // of this process: a busy machine changes it little
    for (int i = 0; i < 20; ++i) {
      HeadParser parser;
      scan_all(parser, head, 1);
    }
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  seconds(10'000);
  EXPECT_LT(seconds(60'000), 60 * seconds(6'000) + 0.5);  // ten times the bytes; quadratic would be a hundred
}

}  // namespace
}  // namespace sf::server
