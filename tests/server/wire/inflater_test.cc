#include "server/wire/inflater.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "engine/base/error.h"
#include "tests/support/compress.h"

namespace sf::server {
namespace {

using test::compress, test::kBare, test::kGzip, test::kZlib;

std::string text_of(size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += "word " + std::to_string(random() % 1000) + " ";
  return text.substr(0, size);
}

// In pieces of at most `piece` bytes.
std::string inflate_all(ContentCoding coding, std::string_view bytes, size_t piece = SIZE_MAX) {
  Inflater inflater(coding);
  std::string text;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    inflater.feed(part, [&](std::string_view out) {
      text += out;
      return true;
    });
    bytes.remove_prefix(part.size());
  }
  inflater.finish();
  return text;
}

TEST(InflaterTest, KnowsTheCodings) {
  for (const char* none : {"", "identity", " Identity "}) EXPECT_EQ(content_coding(none), ContentCoding::kNone);
  for (const char* gzip : {"gzip", "GZIP", "x-gzip", " gzip\t"}) EXPECT_EQ(content_coding(gzip), ContentCoding::kGzip);
  EXPECT_EQ(content_coding("Deflate"), ContentCoding::kDeflate);
  for (const char* other : {"br", "zstd", "compress", "gzip, gzip", "gzip,", "utf-8", "gzip;q=1"}) {
    try {
      content_coding(other);
      FAIL() << other;
    } catch (const Error& error) {
      EXPECT_EQ(error.reason(), Reason::kUnsupportedType) << other;
      EXPECT_EQ(error.field(), "Content-Encoding");
    }
  }
}

TEST(InflaterTest, InflatesWhateverThePieces) {
  for (const size_t size : {0u, 1u, 1000u, 300'000u}) {
    const std::string text = text_of(size);
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{1000}, SIZE_MAX}) {
      EXPECT_EQ(inflate_all(ContentCoding::kGzip, compress(text, kGzip), piece), text) << size << " " << piece;
      EXPECT_EQ(inflate_all(ContentCoding::kDeflate, compress(text, kZlib), piece), text) << size << " " << piece;
      EXPECT_EQ(inflate_all(ContentCoding::kDeflate, compress(text, kBare), piece), text) << size << " " << piece;
    }
  }
}

TEST(InflaterTest, SeveralMembersAreOneBody) {
  const std::string two = compress("first ", kGzip) + compress("second", kGzip);
  for (size_t piece = 1; piece <= two.size(); ++piece) {
    EXPECT_EQ(inflate_all(ContentCoding::kGzip, two, piece), "first second") << piece;
  }
}

TEST(InflaterTest, RefusesEveryCutAndEveryFlippedByte) {
  const std::string text = text_of(500);
  for (const auto& [coding, window] :
       {std::pair(ContentCoding::kGzip, kGzip), std::pair(ContentCoding::kDeflate, kZlib)}) {
    const std::string whole = compress(text, window);
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_THROW(inflate_all(coding, std::string_view(whole).substr(0, size)), Error) << size;
    }
    for (size_t at = 0; at < whole.size(); ++at) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ 0x20);
      try {
        EXPECT_EQ(inflate_all(coding, bad), text) << at;  // a byte of gzip's head that means nothing
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kInvalidArgument);
      }
    }
    EXPECT_THROW(inflate_all(coding, whole + "x"), Error);
  }
  EXPECT_THROW(inflate_all(ContentCoding::kGzip, "{\"question\": \"not compressed\"}"), Error);
}

TEST(InflaterTest, StopsWhereItIsTold) {
  const std::string bomb = compress(std::string(64 << 20, '\0'), kGzip);
  Inflater inflater(ContentCoding::kGzip);
  size_t seen = 0;
  EXPECT_FALSE(inflater.feed(bomb, [&](std::string_view piece) {
    EXPECT_LE(piece.size(), 64u << 10);
    seen += piece.size();
    return seen <= 1 << 20;
  }));
  EXPECT_LE(seen, (1u << 20) + (64u << 10));
}

}  // namespace
}  // namespace sf::server
