#include "server/kserve/bytes_tensor.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using Elements = std::vector<std::string>;

std::string with_length(uint32_t length, const std::string& bytes) {
  std::string raw;
  for (int i = 0; i < 4; ++i) raw.push_back(static_cast<char>(length >> (8 * i) & 0xff));
  return raw + bytes;
}

TEST(BytesTensorTest, SplitsWhatItJoins) {
  for (const Elements& elements : {Elements{}, Elements{""}, Elements{"a"}, Elements{"", std::string("\0b", 2), "ccc"},
                                   Elements{std::string(70000, 'x')}}) {
    EXPECT_EQ(split_bytes_tensor(join_bytes_tensor(elements), elements.size(), "T"), elements);
  }
}

TEST(BytesTensorTest, LengthsAreLittleEndian) {
  EXPECT_EQ(join_bytes_tensor({std::string(258, 'x')}).substr(0, 4), std::string("\x02\x01\x00\x00", 4));
  EXPECT_EQ(split_bytes_tensor(std::string("\x01\x00\x00\x00y", 5), 1, "T"), Elements{"y"});
}

TEST(BytesTensorTest, RefusesWhatDoesNotAddUp) {
  struct Case {
    const char* why;
    std::string raw;
    size_t num_elements;
  };
  const Case cases[] = {{"nothing", "", 1},
                        {"half a length", std::string("\x01\x00\x00", 3), 1},
                        {"a length beyond the end", with_length(5, "four"), 1},
                        {"the largest length", with_length(UINT32_MAX, "abc"), 1},
                        {"bytes after the last", with_length(1, "ab"), 1},
                        {"an element too many", with_length(1, "a") + with_length(1, "b"), 1},
                        {"an element too few", with_length(1, "a"), 2},
                        {"a claim of many", with_length(1, "a"), SIZE_MAX},
                        {"something where nothing should be", "x", 0}};
  for (const Case& c : cases) {
    try {
      split_bytes_tensor(c.raw, c.num_elements, "IMAGE");
      FAIL() << c.why;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << c.why;
      EXPECT_EQ(error.field(), "IMAGE") << c.why;
    }
  }
}

}  // namespace
}  // namespace sf::server
