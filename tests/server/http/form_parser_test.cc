#include "server/http/form_parser.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/error.h"
#include "server/http/header_parameter.h"

namespace sf::server {
namespace {

using Parts = std::vector<std::pair<std::string, std::string>>;

std::string part(const std::string& name, const std::string& content, const std::string& headers = "") {
  return "--cut\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n" + headers + "\r\n" + content + "\r\n";
}

Parts parse(const std::string& body, size_t piece_size = std::string::npos, const std::string& boundary = "cut",
            FormLimits limits = {}) {
  FormParser parser(boundary, limits);
  for (size_t at = 0; at < body.size();) {
    const size_t size = std::min(piece_size, body.size() - at);
    parser.feed(std::string_view(body).substr(at, size));
    at += size;
  }
  Parts parts;
  for (FormPart& found : parser.finish()) parts.emplace_back(found.name, found.content);
  return parts;
}

std::string error_of(const std::string& body, FormLimits limits = {}) {
  std::string message;
  for (const size_t piece_size : {size_t{1}, size_t{7}, std::string::npos}) {
    try {
      parse(body, piece_size, "cut", limits);
      message += "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_TRUE(message.empty() || message == error.what()) << body;
      message = error.what();
    }
  }
  return message;
}

TEST(FormParserTest, TakesPartsHoweverTheyAreCut) {
  const std::string binary("\r\n--cu\r\n--\r\r\n--cu\0t", 19);
  const std::string body = "preamble\r\n" + part("image", binary, "Content-Type: image/png\r\n") +
                           part("question", "what?") + part("empty", "") + "--cut--\r\nepilogue --cut\r\n";
  const Parts expected = {{"image", binary}, {"question", "what?"}, {"empty", ""}};
  for (size_t piece_size = 1; piece_size < body.size(); ++piece_size) EXPECT_EQ(parse(body, piece_size), expected);
}

TEST(FormParserTest, HeadersAreReadAsHttpReadsThem) {
  const std::string odd =
      "--cut \t\r\ncontent-DISPOSITION:Form-Data ;filename=\"a;b\\\"c.png\" ; NAME=image\r\nX:\r\n\r\nbytes\r\n--cut--";
  EXPECT_EQ(parse(odd), Parts({{"image", "bytes"}}));
  EXPECT_EQ(parse(part("a\\\"b\\\\c\\d", "x") + "--cut--"), Parts({{"a\"b\\c\\d", "x"}}));
  const std::string dashes(70, '-');
  EXPECT_EQ(parse("--" + dashes + "\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--" + dashes.substr(1) +
                      "\r\n--" + dashes + "--",
                  3, dashes),
            Parts({{"a", "\r\n--" + dashes.substr(1)}}));
}

TEST(FormParserTest, RefusesBrokenFraming) {
  EXPECT_EQ(error_of(""), "the form is malformed: it ends early");
  EXPECT_EQ(error_of("--cut"), "the form is malformed: it ends early");
  EXPECT_EQ(error_of(part("a", "x")), "the form is malformed: it ends early");
  EXPECT_EQ(error_of("--cutter\r\n"), "the form is malformed: something behind a boundary");
  EXPECT_EQ(error_of("--cut\r\n\r\nx\r\n--cut--"), "the form is malformed: a part has no name");
  EXPECT_EQ(error_of("--cut\r\nContent-Disposition: form-data; filename=a\r\n\r\nx\r\n--cut--"),
            "the form is malformed: a part has no name");
  EXPECT_EQ(error_of("--cut\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--cut--"),
            "the form is malformed: a part is no form-data");
  EXPECT_EQ(error_of("--cut\r\nno colon\r\n\r\nx\r\n--cut--"),
            "the form is malformed: a line of a part's header has no colon");
  EXPECT_EQ(error_of("--cut\r\nContent-Disposition: form-data; name=a\n\nx\r\n--cut--"),
            "the form is malformed: a line of a part's header does not end with CR LF");
}

TEST(FormParserTest, LimitsAreInclusiveAndNamed) {
  EXPECT_EQ(error_of(part("a", "") + part("b", "") + "--cut--", {.max_parts = 2}), "acceptedacceptedaccepted");
  EXPECT_EQ(error_of(part("a", "") + part("b", "") + "--cut--", {.max_parts = 1}), "the form has more than 1 parts");
  EXPECT_EQ(error_of(part("a", "", std::string(200, 'x') + ": y\r\n") + "--cut--", {.max_header_bytes = 200}),
            "the form has a part with a header of more than 200 bytes");
  std::string many;
  for (int i = 0; i < 2000; ++i) many.append("a").append(std::to_string(i)).append(":\r\n");
  EXPECT_EQ(error_of(part("a", "", many) + "--cut--", {.max_header_bytes = 4096}),
            "the form has a part with a header of more than 4096 bytes");
  EXPECT_EQ(error_of("--cut" + std::string(9000, ' ') + "\r\n", {.max_header_bytes = 4096}),
            "the form has a part with a header of more than 4096 bytes");
}

TEST(FormParserTest, FindsTheBoundaryOfAContentType) {
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=cut"), "cut");
  EXPECT_EQ(form_boundary("Multipart/Form-Data;charset=utf-8 ; BOUNDARY=\"a b;c\" ; x"), "a b;c");
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=" + std::string(70, 'b')), std::string(70, 'b'));
  for (const std::string& type :
       {std::string("multipart/form-data"), std::string("multipart/form-data; boundary="),
        std::string("multipart/form-data; boundary=\"\""), std::string("multipart/form-data; boundary=a\tb"),
        "multipart/form-data; boundary=" + std::string(71, 'b')}) {
    EXPECT_THROW(form_boundary(type), Error) << type;
  }
}

TEST(HeaderParameterTest, TakesTheOneOfAName) {
  EXPECT_EQ(header_value_name(" Application/JSON ;a=b"), "application/json");
  EXPECT_EQ(header_parameter("x; a=1; B=2", "b"), "2");
  EXPECT_THROW(header_parameter("x; a=1; A=2", "a"), Error) << "parsers differ in which counts";
  EXPECT_EQ(header_parameter("x;;; ;b;c=; a = \"1;2\" ; d", "a"), "1;2");
  EXPECT_EQ(header_parameter("x;c=;a", "a"), std::nullopt);
  EXPECT_EQ(header_parameter("x;c=", "c"), "");
  EXPECT_EQ(header_parameter("x; a=\"open", "a"), "open");
  EXPECT_EQ(header_parameter("a=1", "a"), std::nullopt);
}

}  // namespace
}  // namespace sf::server
