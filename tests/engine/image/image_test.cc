#include "engine/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "tests/engine/image/decoding.h"
#include "tests/engine/image/image_fixtures.h"

namespace sf {
namespace {

using fixtures::error_of, fixtures::largest_difference;
using fixtures::PngSpec;
using Pixels = std::vector<uint8_t>;

std::string bytes_of(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += static_cast<char>(value);
  return bytes;
}

TEST(ImageTest, EmptyInputIsRefused) { EXPECT_EQ(error_of("").code(), Code::kInvalidArgument); }

TEST(ImageTest, OtherFormatsAreUnsupported) {
  for (const std::string& bytes :
       {std::string("GIF89a\1\0\1\0\0\0\0;", 14), std::string("II*\0\x08\0\0\0\0\0", 10),
        std::string("MM\0*\0\0\0\x08", 8), std::string("<svg xmlns='http://www.w3.org/2000/svg'/>"),
        std::string("BM\x3a\0\0\0\0\0\0\0", 10), std::string("RIFF\x10\0\0\0WAVEfmt ", 16), std::string("\x89PN", 3),
        std::string("\xff\xd8", 2), std::string("hello, world")}) {
    const Error error = error_of(bytes);
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.reason(), Reason::kUnsupportedType);
  }
}

TEST(ImageTest, LosslessFormatsKeepEveryPixel) {
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{{1, 1}, {1, 9}, {9, 1}, {7, 5}, {64, 33}}) {
    const Image image = fixtures::make_image(
        width, height, [](int x, int y, int c) { return static_cast<uint8_t>(31 * x + 57 * y + 101 * c); });
    EXPECT_EQ(decode_image(fixtures::png_of(image)).pixels, image.pixels);
    EXPECT_EQ(decode_image(fixtures::webp_of(image)).pixels, image.pixels);
  }
}

TEST(ImageTest, InterlacedPngOfEverySmallSize) {
  for (int width = 1; width <= 9; ++width) {
    for (int height = 1; height <= 9; ++height) {
      const Image image = fixtures::make_image(
          width, height, [](int x, int y, int c) { return static_cast<uint8_t>(31 * x + 57 * y + 101 * c); });
      EXPECT_EQ(decode_image(fixtures::png_of(image, /*interlaced=*/true)).pixels, image.pixels)
          << width << "x" << height;
    }
  }
}

TEST(ImageTest, PngDepthsAndColourTypes) {
  // 16-bit RGB keeps the high byte, rounded: 0x80ff -> 0x81 (33023 * 255 / 65535 = 128.49 -> 128), 0xffff -> 255.
  EXPECT_EQ(decode_image(fixtures::png({1, 1, 16, 2}, bytes_of({0, 0xff, 0xff, 0x80, 0x80, 0x00, 0x00}))).pixels,
            (Pixels{255, 128, 0}));
  EXPECT_EQ(decode_image(fixtures::png({2, 1, 16, 0}, bytes_of({0, 0xff, 0xff, 0x40, 0x40}))).pixels,
            (Pixels{255, 255, 255, 64, 64, 64}));
  // Grey of 1, 2 and 4 bits spreads over 0..255.
  EXPECT_EQ(decode_image(fixtures::png({2, 1, 1, 0}, bytes_of({0, 0x40}))).pixels, (Pixels{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(decode_image(fixtures::png({2, 1, 2, 0}, bytes_of({0, 0x60}))).pixels, (Pixels{85, 85, 85, 170, 170, 170}));
  EXPECT_EQ(decode_image(fixtures::png({1, 1, 4, 0}, bytes_of({0, 0x30}))).pixels, (Pixels{51, 51, 51}));
  const std::string palette = fixtures::png_chunk("PLTE", bytes_of({9, 8, 7, 200, 100, 50}));
  EXPECT_EQ(decode_image(fixtures::png({2, 1, 1, 3}, bytes_of({0, 0x40}), palette)).pixels,
            (Pixels{9, 8, 7, 200, 100, 50}));
}

TEST(ImageTest, AlphaGoesOverWhite) {
  const Pixels expected{255, 255, 255, 10, 20, 30, 127, 127, 127};  // (0 * 128 + 255 * 127 + 127) / 255 = 127
  EXPECT_EQ(decode_image(fixtures::png({3, 1, 8, 6}, bytes_of({0, 1, 2, 3, 0, 10, 20, 30, 255, 0, 0, 0, 128}))).pixels,
            expected);
  EXPECT_EQ(decode_image(fixtures::webp_with_alpha({1, 2, 3, 0, 10, 20, 30, 255, 0, 0, 0, 128}, 3, 1)).pixels,
            expected);
  EXPECT_EQ(decode_image(fixtures::png({1, 1, 8, 4}, bytes_of({0, 0, 128}))).pixels, (Pixels{127, 127, 127}));
  EXPECT_EQ(decode_image(fixtures::png({1, 1, 16, 6}, bytes_of({0, 0, 0, 0, 0, 0, 0, 0, 0}))).pixels,
            (Pixels{255, 255, 255}));
}

TEST(ImageTest, TransparentColourAndPaletteEntryGoOverWhite) {
  const std::string key = fixtures::png_chunk("tRNS", bytes_of({0, 1, 0, 2, 0, 3}));
  EXPECT_EQ(decode_image(fixtures::png({2, 1, 8, 2}, bytes_of({0, 1, 2, 3, 4, 5, 6}), key)).pixels,
            (Pixels{255, 255, 255, 4, 5, 6}));
  const std::string palette =
      fixtures::png_chunk("PLTE", bytes_of({9, 8, 7, 200, 100, 50})) + fixtures::png_chunk("tRNS", bytes_of({0}));
  EXPECT_EQ(decode_image(fixtures::png({2, 1, 1, 3}, bytes_of({0, 0x40}), palette)).pixels,
            (Pixels{255, 255, 255, 200, 100, 50}));
}

TEST(ImageTest, PngGammaAndTextChunksChangeNothing) {
  const Image image = fixtures::gradient(5, 4);
  const std::string gamma = fixtures::png_chunk("gAMA", bytes_of({0, 1, 0x86, 0xa0}));
  const std::string text =
      fixtures::png_chunk("zTXt", "note" + std::string(2, '\0') + fixtures::deflated(std::string(1 << 20, 'x')));
  EXPECT_EQ(decode_image(fixtures::png_of(image, false, gamma + text)).pixels, image.pixels);
}

TEST(ImageTest, JpegIsCloseInEverySamplingAndProgressive) {
  const Image image = fixtures::gradient(48, 40);
  for (const int sampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411}) {
    // Quality 95 and chroma shared by up to four pixels of a ramp of 5-7 levels a pixel.
    EXPECT_LE(largest_difference(decode_image(fixtures::jpeg_of(image, sampling)), image), 14) << sampling;
    EXPECT_LE(largest_difference(decode_image(fixtures::jpeg_of(image, sampling, TJFLAG_PROGRESSIVE)), image), 14)
        << sampling;
  }
  const Image grey = fixtures::make_image(16, 16, [](int x, int, int) { return static_cast<uint8_t>(x * 16); });
  EXPECT_LE(largest_difference(decode_image(fixtures::jpeg_of(grey, TJSAMP_GRAY)), grey), 4);
}

TEST(ImageTest, AdobeCmykJpegIsInverted) {
  // Stored values of an Adobe file: 255 = no ink. Pure white, pure cyan (R = 0), half black.
  Pixels cmyk;
  for (int i = 0; i < 8 * 24; ++i) {
    const int column = i % 24;
    const Pixels ink = column < 8    ? Pixels{255, 255, 255, 255}
                       : column < 16 ? Pixels{0, 255, 255, 255}
                                     : Pixels{255, 255, 255, 128};
    cmyk.insert(cmyk.end(), ink.begin(), ink.end());
  }
  const Image image = decode_image(fixtures::cmyk_jpeg(cmyk, 24, 8));
  const Image expected = fixtures::make_image(24, 8, [](int x, int, int c) {
    return static_cast<uint8_t>(x < 8 ? 255 : x < 16 ? (c == 0 ? 0 : 255) : 128);
  });
  EXPECT_LE(largest_difference(image, expected), 3);
}

TEST(ImageTest, TheFirstFrameOfAnAnimationStandsForIt) {
  const Image first = fixtures::gradient(8, 6), second = fixtures::gradient(10, 5);
  const Image image = decode_image(fixtures::animated_webp({first, second}, 20, 12));
  EXPECT_EQ(image.width, 20);
  EXPECT_EQ(image.height, 12);
  for (int y = 0; y < 12; ++y) {
    for (int x = 0; x < 20; ++x) {
      const bool inside = x >= 2 && x < 10 && y >= 4 && y < 10;
      const uint8_t expected = inside ? first.pixels[static_cast<size_t>((y - 4) * 8 + x - 2) * 3] : 255;
      ASSERT_EQ(image.pixels[static_cast<size_t>(y * 20 + x) * 3], expected) << x << " " << y;
    }
  }
  EXPECT_EQ(decode_image(fixtures::animated_webp({first}, 10, 10)).width, 10);
  EXPECT_EQ(error_of(fixtures::animated_webp({first}, 9, 10)).code(), Code::kInvalidArgument) << "beyond the canvas";
  EXPECT_EQ(error_of(fixtures::animated_webp({}, 9, 10)).code(), Code::kInvalidArgument);
}

TEST(ImageTest, TheCheckEndsADecode) {
  const Image image = fixtures::gradient(256, 256);
  for (const std::string& bytes :
       {fixtures::png_of(image), fixtures::jpeg_of(image, TJSAMP_420),
        fixtures::jpeg_of(image, TJSAMP_444, TJFLAG_PROGRESSIVE), fixtures::webp_of(image)}) {
    int asked = 0;
    decode_image(bytes, {}, {.needed_size = {}, .check = [&] { ++asked; }});
    EXPECT_GT(asked, 0);
    for (int last = 1; last <= asked; ++last) {
      int left = last;
      const auto check = [&] {
        if (--left == 0) throw Error(Code::kCancelled, "gone");
      };
      try {
        decode_image(bytes, {}, {.needed_size = {}, .check = check});
        ADD_FAILURE() << "decoded to its end";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kCancelled);
      }
    }
  }
}

TEST(ImageTest, OrientationTurnsTheImageUpright) {
  // Two columns, three rows, each pixel its own grey: stored 0 1 / 2 3 / 4 5.
  const Image stored = fixtures::make_image(2, 3, [](int x, int y, int) { return static_cast<uint8_t>(y * 2 + x); });
  const std::vector<std::vector<int>> upright = {{0, 1, 2, 3, 4, 5}, {1, 0, 3, 2, 5, 4}, {5, 4, 3, 2, 1, 0},
                                                 {4, 5, 2, 3, 0, 1}, {0, 2, 4, 1, 3, 5}, {4, 2, 0, 5, 3, 1},
                                                 {5, 3, 1, 4, 2, 0}, {1, 3, 5, 0, 2, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string exif = fixtures::png_chunk("eXIf", fixtures::exif_block(orientation, orientation % 2 == 0));
    const std::string bytes = fixtures::png_of(stored, false, exif);
    const ImageHeader header = read_image_header(bytes);
    const Image image = decode_image(bytes);
    EXPECT_EQ(header.orientation, orientation);
    EXPECT_EQ(header.width, orientation >= 5 ? 3 : 2);
    EXPECT_EQ(image.width, header.width);
    EXPECT_EQ(image.height, header.height);
    for (size_t i = 0; i < 6; ++i)
      EXPECT_EQ(image.pixels[i * 3], upright[static_cast<size_t>(orientation - 1)][i]) << orientation;
  }
}

TEST(ImageTest, JpegOrientationComesFromExif) {
  const std::string bytes =
      fixtures::with_exif(fixtures::jpeg_of(fixtures::gradient(32, 16), TJSAMP_444), fixtures::exif_block(6, true));
  const Image image = decode_image(bytes);
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.height, 32);
  EXPECT_LE(image.pixels[0], 8);  // red grows along the stored x, which now points down
  EXPECT_GE(image.pixels[(31 * 16) * 3], 247);
}

TEST(ImageTest, TruncationAtEveryByteIsAnError) {
  const Image image = fixtures::gradient(20, 14);
  for (const std::string& bytes :
       {fixtures::png_of(image), fixtures::png_of(image, true), fixtures::jpeg_of(image, TJSAMP_420),
        fixtures::jpeg_of(image, TJSAMP_444, TJFLAG_PROGRESSIVE), fixtures::webp_of(image)}) {
    ASSERT_NO_THROW(decode_image(bytes));
    for (size_t length = 0; length < bytes.size(); ++length) {
      // The end-of-image marker of a JPEG carries nothing: all pixels may be there without it.
      if (bytes[0] == '\xff' && length + 2 >= bytes.size()) continue;
      EXPECT_EQ(error_of(std::string_view(bytes).substr(0, length)).code(), Code::kInvalidArgument)
          << length << " of " << bytes.size();
    }
  }
}

TEST(ImageTest, FlippedAndRandomBytesNeverCrash) {
  std::mt19937 random(7);
  const Image image = fixtures::gradient(24, 24);
  const std::vector<std::string> originals = {fixtures::png_of(image), fixtures::jpeg_of(image, TJSAMP_420),
                                              fixtures::jpeg_of(image, TJSAMP_444, TJFLAG_PROGRESSIVE),
                                              fixtures::webp_of(image)};
  const ImageLimits limits{1 << 20, 1 << 20};
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = originals[static_cast<size_t>(round) % originals.size()];
    const int flips = 1 + round % 5;
    for (int i = 0; i < flips; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 3 == 0)
      for (size_t i = 16 + random() % 16; i < bytes.size(); ++i) bytes[i] = static_cast<char>(random());
    try {
      const Image decoded = decode_image(bytes, limits);
      EXPECT_EQ(decoded.pixels.size(), static_cast<size_t>(decoded.width) * static_cast<size_t>(decoded.height) * 3);
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "image");
    }
  }
}

TEST(ImageTest, PngWithTooFewRowsIsCorrupt) {
  for (const bool interlaced : {false, true}) {
    const PngSpec spec{4, 4, 8, 2, interlaced};
    EXPECT_EQ(error_of(fixtures::png(spec, std::string(13, '\0'))).code(), Code::kInvalidArgument);
  }
}

TEST(ImageTest, PngDataBeyondTheLastRowIsNotInflated) {
  // 64 MiB of zeros behind an image of one pixel: decoding must look at the image alone.
  const std::string rows = std::string(64 << 20, '\0');
  const Image image = decode_image(fixtures::png({1, 1, 8, 2}, rows));
  EXPECT_EQ(image.pixels, (Pixels{0, 0, 0}));
}

TEST(ImageTest, JpegWithVeryManyScansIsRefused) {
  std::string bytes = fixtures::jpeg_of(fixtures::gradient(16, 16), TJSAMP_444, TJFLAG_PROGRESSIVE);
  const size_t last_scan = bytes.rfind("\xff\xda");
  const std::string scan = bytes.substr(last_scan, bytes.size() - 2 - last_scan);
  bytes.resize(bytes.size() - 2);
  for (int i = 0; i < 120; ++i) bytes += scan;
  EXPECT_THAT(error_of(bytes + "\xff\xd9").what(), testing::HasSubstr("scans"));
}

}  // namespace
}  // namespace sf
