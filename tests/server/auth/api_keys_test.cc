#include "server/auth/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sf::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string line(const std::string& name, const std::string& key, const std::string& rest) {
  return name + "  " + hash_api_key(key) + "  " + rest + "\n";
}

class KeyRingTest : public testing::Test {
 protected:
  Error refusal(const std::string& authorization, Access access) {
    try {
      keys_.admit(authorization, access);
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kOk, "admitted");
  }
  double now_s_ = 1000;
  KeyRing keys_{parse_api_keys("# who may call\n\n" + line("alice", "a-key", "infer 3") +
                               line("ops", "o-key", "admin") + line("both", "b-key", "infer,admin   # a comment")),
                [this] { return now_s_; }};
};

TEST_F(KeyRingTest, KnowsItsKeysByName) {
  EXPECT_EQ(keys_.admit("Bearer a-key", Access::kInfer), "alice");
  EXPECT_EQ(keys_.admit("bearer  o-key ", Access::kAdmin), "ops");
  EXPECT_EQ(keys_.admit("Bearer b-key", Access::kAdmin), "both");
  EXPECT_EQ(keys_.admit("Bearer o-key", Access::kAnyKey), "ops");
  EXPECT_EQ(keys_.admit("", Access::kPublic), "");
  EXPECT_EQ(keys_.name_of("Bearer b-key"), "both");
  EXPECT_EQ(keys_.name_of("Bearer x"), "");
}

TEST_F(KeyRingTest, WhatIsNoKeyIsUnauthenticated) {
  const std::string digest = hash_api_key("a-key");
  for (const std::string& text :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("a-key"), std::string("Basic a-key"),
        std::string("Bearer a-ke"), std::string("Bearer a-keyy"), "Bearer " + digest, std::string("Bearer A-KEY"),
        std::string("Bearer a-key\0x", 14)}) {
    for (const Access access : {Access::kAnyKey, Access::kInfer, Access::kAdmin}) {
      EXPECT_EQ(refusal(text, access).code(), Code::kUnauthenticated) << text;
    }
  }
}

// sha256 of the empty string, which `printf "$UNSET" | sha256sum` prints.
TEST_F(KeyRingTest, AnEmptyKeyIsNeverAccepted) {
  ApiKey hole;
  hole.name = "hole";
  hole.sha256 = hash_api_key("");
  hole.infer = hole.admin = true;
  keys_.replace({hole});
  for (const std::string& text :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("bearer    "),
        std::string("Bearer \t "), std::string("Basic "), std::string("x")}) {
    for (const Access access : {Access::kAnyKey, Access::kInfer, Access::kAdmin}) {
      EXPECT_EQ(refusal(text, access).code(), Code::kUnauthenticated) << text;
    }
    EXPECT_EQ(keys_.name_of(text), "") << text;
  }
}

TEST(ApiKeysTest, TheDigestOfNoKeyIsRefusedByFileAndLine) {
  const auto reason_of = [](const std::string& text, const std::string& file) -> std::string {
    try {
      parse_api_keys(text, file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(reason_of(line("a", "good-key", "infer") + "\n" + line("b", "", "admin"), "/etc/keys:"),
            "api-keys: /etc/keys:3: this is the sha256 of no key at all");
  for (const std::string key : {"", "\n", "\r\n", " ", " \n", "\t", "null\n", "None\n", "undefined"}) {
    EXPECT_THAT(reason_of(line("b", key, "infer"), "line "), HasSubstr("line 1: this is the sha256 of no key")) << key;
  }
  EXPECT_EQ(reason_of(line("b", "good-key", "infer"), "line "), "accepted");
}

TEST(ApiKeysTest, AKeyThatNoHeaderCarriesIsNotGivenOut) {
  for (const char* key : {"", " ", "a b", " a", "a\t", "a\r", "k\xc3\xa9y", "null", "\x01"}) {
    EXPECT_NE(wrong_with_key(key), "") << key;
  }
  EXPECT_EQ(wrong_with_key("5994471abb01112afcc18159f6cc74b4"), "");
}

TEST_F(KeyRingTest, AScopeThatIsMissingIsDenied) {
  EXPECT_EQ(refusal("Bearer a-key", Access::kAdmin).code(), Code::kPermissionDenied);
  EXPECT_EQ(refusal("Bearer o-key", Access::kInfer).code(), Code::kPermissionDenied);
}

TEST_F(KeyRingTest, AboveItsRateAKeyWaits) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kOk);
  EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kResourceExhausted);
  try {
    keys_.admit("Bearer a-key", Access::kInfer);
    FAIL() << "admitted";
  } catch (const RateLimited& error) {
    EXPECT_EQ(error.retry_after_s(), 20);
  }
  EXPECT_EQ(refusal("Bearer b-key", Access::kInfer).code(), Code::kOk) << "another key's limit is its own";
  EXPECT_EQ(refusal("Bearer a-key", Access::kAnyKey).code(), Code::kOk) << "reading is not counted";
  now_s_ += 19;
  EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kResourceExhausted);
  now_s_ += 1;
  EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kOk);
  EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kResourceExhausted);
  now_s_ += 3600;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kOk);
  EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kResourceExhausted) << "a minute's worth at most";
}

TEST_F(KeyRingTest, ReplacedKeysCountAtOnceAndKeepWhatTheyUsed) {
  for (int i = 0; i < 3; ++i) keys_.admit("Bearer a-key", Access::kInfer);
  keys_.replace(parse_api_keys(line("alice", "new-key", "infer 3")));
  EXPECT_EQ(refusal("Bearer a-key", Access::kInfer).code(), Code::kUnauthenticated);
  EXPECT_EQ(refusal("Bearer o-key", Access::kAdmin).code(), Code::kUnauthenticated);
  EXPECT_EQ(refusal("Bearer new-key", Access::kInfer).code(), Code::kResourceExhausted);
}

TEST(ApiKeysTest, HashesAsSha256sumDoes) {
  EXPECT_EQ(hash_api_key("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ApiKeysTest, TwoHeadersMakeOneCredential) {
  EXPECT_EQ(join_credentials("", ""), "");
  EXPECT_EQ(join_credentials("Bearer k", ""), "Bearer k");
  EXPECT_EQ(join_credentials("", "k"), "Bearer k");
  EXPECT_EQ(join_credentials("bearer  k ", "k"), "Bearer k");
  for (const char* other : {"Bearer j", "Bearer", "Basic k", "k"}) {
    EXPECT_THROW(join_credentials(other, "k"), Error) << other;
  }
}

TEST(ApiKeysTest, AWrongLineIsNamedAndNotQuoted) {
  const std::string good = line("a", "k", "infer");
  for (const std::string& bad : {std::string("secret\n"), std::string("a secret infer\n"), line("b c", "k2", "infer"),
                                 line("b", "k2", "root"), line("b", "k2", "infer 0"), line("b", "k2", "infer -1"),
                                 line("b", "k2", "infer nan"), line("b", "k2", "infer x"), line("b", "k2", "infer 1 1"),
                                 line("a", "k2", "infer"), line("b", "k", "infer"), line("b", "k2", "")}) {
    try {
      parse_api_keys(good + bad);
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr("line 2")) << bad;
      EXPECT_THAT(error.what(), Not(HasSubstr("secret")));
    }
  }
  EXPECT_THROW(parse_api_keys("# nobody\n"), Error);
}

}  // namespace
}  // namespace sf::server
