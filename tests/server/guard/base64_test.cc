#include "server/guard/base64.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf::server {
namespace {

Error error_of(const std::string& text, size_t max_bytes = 1000) {
  try {
    decode_image_text(text, max_bytes, "image");
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "decoded");
}

TEST(Base64Test, DecodesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"Zg==", "f"},
                                                         {"Zm8=", "fo"},
                                                         {"Zm9v", "foo"},
                                                         {"Zm9vYg==", "foob"},
                                                         {"Zm9vYmE=", "fooba"},
                                                         {"Zm9vYmFy", "foobar"}};
  for (const auto& [text, bytes] : vectors) {
    EXPECT_EQ(decode_base64(text, 100, "image"), bytes) << text;
    EXPECT_EQ(encode_base64(bytes), text) << bytes;
  }
}

TEST(Base64Test, RoundTripsEveryByte) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const std::string part = bytes.substr(bytes.size() - length);
    EXPECT_EQ(decode_base64(encode_base64(part), 256, "image"), part) << length;
  }
}

TEST(Base64Test, RefusesWhatIsNotStrict) {
  for (const char* text :
       {"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zm-_", "Zg==Zg==", "=Zg="}) {
    const Error error = error_of(text);
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(error.field(), "image") << text;
  }
}

TEST(Base64Test, RefusesMoreThanTheLimitBeforeDecoding) {
  EXPECT_EQ(decode_base64("Zm9v", 3, "image"), "foo");
  const Error error = error_of("Zm9vYg==", 3);
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_EQ(error.reason(), Reason::kTooLarge);
}

TEST(DataUriTest, AcceptsDataUriAndPlainBase64) {
  EXPECT_EQ(decode_image_text("data:image/png;base64,Zm9v", 100, "image"), "foo");
  EXPECT_EQ(decode_image_text("data:;base64,Zm9v", 100, "image"), "foo");
  EXPECT_EQ(decode_image_text("DATA:image/png;base64,Zm9v", 100, "image"), "foo");
  EXPECT_EQ(decode_image_text("Zm9v", 100, "image"), "foo");
}

TEST(DataUriTest, RefusesUrlsAndOtherEncodings) {
  for (const char* text : {"http://host/a.png", "https://host/a.png", "file:///etc/passwd", "data:image/png,abc",
                           "data:image/png;base64", "data:"}) {
    EXPECT_EQ(error_of(text).code(), Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace sf::server
