#include "engine/base/base64.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/error.h"

namespace sf {
namespace {

std::string error_of(const std::string& text, size_t max_bytes = 1000) {
  try {
    decode_base64(text, max_bytes, "image");
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "image");
    EXPECT_EQ(error.code() == Code::kResourceExhausted, error.reason() == Reason::kTooLarge);
    return error.what();
  }
  return "decoded";
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
    const std::string bare(text, std::string(text).find_last_not_of('=') + 1);
    EXPECT_EQ(decode_base64(bare, 100, "image"), bytes) << bare;
  }
}

// What `base64 FILE`, MIME encoders and JSON Web Tokens write: lines, no padding, the URL-safe alphabet, in any
// mixture.
TEST(Base64Test, RoundTripsEveryLengthInEveryForm) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes.push_back(static_cast<char>(255 - i * 7));
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const std::string part = bytes.substr(0, length), text = encode_base64(part);
    for (const bool url_safe : {false, true}) {
      for (const bool padded : {false, true}) {
        for (const size_t line : {size_t{1}, size_t{5}, size_t{76}, text.size() + 1}) {
          std::string form;
          for (size_t i = 0; i < text.size(); ++i) {
            const char c = text[i];
            if (c == '=' && !padded) break;
            form += url_safe && c == '+' ? '-' : url_safe && c == '/' ? '_' : c;
            if ((i + 1) % line == 0) form += "\r\n";
          }
          ASSERT_EQ(decode_base64(form, 300, "image"), part) << form;
        }
      }
    }
  }
}

TEST(Base64Test, SaysWhatIsNotBase64AndWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"Zg=", "character 3: 1 padding characters, where there should be 2"},
      {"Zg===", "character 3: 3 padding characters, where there should be 2"},
      {"Zm9v=", "character 5: 1 padding characters, where there should be 0"},
      {"Z===", "character 2: the text is cut off"},
      {"Zm9vZ", "character 6: the text is cut off"},
      {"====", "character 1: 4 padding characters, where there should be 0"},
      {"Zh==", "character 2: bits left over"},
      {"Zm9=", "character 3: bits left over"},
      {"Zm9", "character 3: bits left over"},
      {"Zm 9v", "character 3: no character of its alphabets"},
      {"Zm9v\tZm9v", "character 5: no character of its alphabets"},
      {"Zm9v\x80m9v", "character 5: no character of its alphabets"},
      {"Zm-/", "character 4: of another alphabet than what stands before it"},
      {"Zg==Zg==", "character 5: something behind the padding"},
      {"=Zg=", "character 2: something behind the padding"},
      {"Zm9v\nZ!==", "character 7: no character of its alphabets"}};
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(error_of(text), std::string("image: not base64 at ") + expected) << text;
  }
  EXPECT_NE(error_of(std::string("Zm9v\0m9v", 8)), "decoded");
}

TEST(Base64Test, RefusesMoreThanTheLimitBeforeDecoding) {
  EXPECT_EQ(decode_base64("Zm9v", 3, "image"), "foo");
  EXPECT_EQ(decode_base64("Zm\r\n9v\r\n", 3, "image"), "foo");
  EXPECT_EQ(error_of("Zm9vYg==", 3), "image: larger than 3 bytes, got 4");
  EXPECT_EQ(error_of("Zm9vYg", 3), "image: larger than 3 bytes, got 4");
}

// Every text that is taken says what it says: decoded and encoded again it is the same, forms aside.
TEST(Base64Test, RandomTextsAreTakenOrRefused) {
  constexpr std::string_view kCharacters = "AZaz09+/-_=\r\n.";
  std::mt19937 random(11);
  int taken = 0;
  for (int i = 0; i < 100000; ++i) {
    std::string text;
    for (size_t length = random() % 12; length > 0; --length) text += kCharacters[random() % kCharacters.size()];
    std::string bytes;
    try {
      bytes = decode_base64(text, 100, "image");
    } catch (const Error&) {
      continue;
    }
    ++taken;
    std::string plain;
    for (const char c : text) {
      if (c != '\r' && c != '\n' && c != '=') plain += c == '-' ? '+' : c == '_' ? '/' : c;
    }
    const std::string again = encode_base64(bytes);
    EXPECT_EQ(plain, again.substr(0, again.find('='))) << text;
  }
  EXPECT_GT(taken, 1000);
}

}  // namespace
}  // namespace sf
