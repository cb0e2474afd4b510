#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "server/wire/base64.h"

namespace sf::server {
namespace {

TEST(ImageTextTest, AcceptsDataUriAndPlainBase64) {
  for (const char* text :
       {"data:image/png;base64,Zm9v", "data:;base64,Zm9v", "DATA:image/png;base64,Zm9v", "data:image/png;Base64,Zm9v",
        "data:image/png;charset=x;BASE64,Zm\r\n9v\r\n", "Zm9v", "Zm9v\n"}) {
    EXPECT_EQ(decode_image_text(text, 100, "image"), "foo") << text;
  }
  EXPECT_EQ(decode_image_text("data:image/png;base64,Zm8", 100, "image"), "fo");
  EXPECT_EQ(decode_image_text("data:image/png;base64,_-8=", 100, "image"), "\xff\xef");
}

TEST(ImageTextTest, RefusesUrlsAndOtherEncodings) {
  for (const char* text :
       {"http://host/a.png", "https://host/a.png", "file:///etc/passwd", "data:image/png,abc", "data:image/png;base64",
        "data:", "data:,", "data:base64,Zm9v", "data:image/png;base64;x,Zm9v"}) {
    try {
      decode_image_text(text, 1000, "image");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << text;
      EXPECT_EQ(error.field(), "image") << text;
    }
  }
}

}  // namespace
}  // namespace sf::server
