#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/exif.h"
#include "engine/image/image.h"
#include "tests/engine/image/image_fixtures.h"

namespace sf {
namespace {

Error header_error(std::string_view bytes, const ImageLimits& limits = {}) {
  try {
    read_image_header(bytes, limits);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(Code::kOk, "");
}

// A PNG header alone would be truncated; this one ends properly but holds no pixel, so only the header is ever read.
std::string png_without_pixels(uint32_t width, uint32_t height) {
  return fixtures::png_header({width, height, 8, 2, false}) + fixtures::png_chunk("IEND", "");
}

// A JPEG whose header says this size, with the data of 16x16 pixels.
std::string jpeg_of_size(int width, int height, int flags = 0) {
  std::string jpeg = fixtures::jpeg_of(fixtures::gradient(16, 16), TJSAMP_444, flags);
  const size_t frame = jpeg.find(flags == 0 ? "\xff\xc0" : "\xff\xc2");
  const auto put = [&](size_t at, int side) {
    jpeg[at] = static_cast<char>(side >> 8);
    jpeg[at + 1] = static_cast<char>(side);
  };
  put(frame + 5, height);
  put(frame + 7, width);
  return jpeg;
}

TEST(ImageHeaderTest, ReadsTheSizeOfEachFormat) {
  const Image image = fixtures::gradient(31, 17);
  for (const std::string& bytes :
       {fixtures::png_of(image), fixtures::jpeg_of(image, TJSAMP_420), fixtures::webp_of(image)}) {
    const ImageHeader header = read_image_header(bytes);
    EXPECT_EQ(header.width, 31);
    EXPECT_EQ(header.height, 17);
    EXPECT_EQ(header.orientation, 1);
  }
  EXPECT_EQ(read_image_header(fixtures::webp_of(image)).format, ImageFormat::kWebp);
}

TEST(ImageHeaderTest, NeedsNoPixels) { EXPECT_EQ(read_image_header(png_without_pixels(640, 480)).width, 640); }

TEST(ImageHeaderTest, PixelLimitIsInclusive) {
  EXPECT_EQ(read_image_header(png_without_pixels(4000, 4000)).height, 4000);
  EXPECT_EQ(header_error(png_without_pixels(4001, 4000)).reason(), Reason::kTooLarge);
}

TEST(ImageHeaderTest, SideLimitIsInclusiveAndNamed) {
  EXPECT_EQ(read_image_header(png_without_pixels(65'535, 1)).width, 65'535);
  EXPECT_EQ(read_image_header(png_without_pixels(1, 65'535)).height, 65'535);
  for (const auto& [width, height] :
       std::vector<std::pair<uint32_t, uint32_t>>{{65'536, 1}, {1, 65'536}, {16'000'000, 1}, {1, 16'000'000}}) {
    const Error error = header_error(png_without_pixels(width, height));
    EXPECT_EQ(error.reason(), Reason::kTooLarge);
    EXPECT_THAT(error.what(), testing::HasSubstr("65535 pixels"));
  }
}

TEST(ImageHeaderTest, OnlyAJpegMayHaveMorePixelsThanAreDecoded) {
  const Error png = header_error(png_without_pixels(4001, 4000));
  EXPECT_EQ(png.reason(), Reason::kTooLarge);
  EXPECT_THAT(png.what(), testing::HasSubstr("16000000 pixels"));
  EXPECT_THAT(png.what(), testing::HasSubstr("PNG"));
  EXPECT_EQ(read_image_header(jpeg_of_size(8000, 8000)).width, 8000);
  EXPECT_THAT(header_error(jpeg_of_size(8001, 8000)).what(), testing::HasSubstr("max_image_pixels"));
  EXPECT_THAT(header_error(png_without_pixels(8001, 8000)).what(), testing::HasSubstr("max_image_pixels"));
}

TEST(ImageHeaderTest, ALowerPixelLimitHoldsForEveryFormat) {
  const ImageLimits limits{.max_pixels = 1'000'000};
  for (const std::string& bytes : {png_without_pixels(1001, 1000), jpeg_of_size(1001, 1000)}) {
    const Error error = header_error(bytes, limits);
    EXPECT_EQ(error.reason(), Reason::kTooLarge);
    EXPECT_THAT(error.what(), testing::HasSubstr("1000000 pixels (max_image_pixels)"));
  }
  EXPECT_EQ(read_image_header(jpeg_of_size(1000, 1000), limits).width, 1000);
}

TEST(ImageHeaderTest, CoefficientsOfAProgressiveJpegAreBounded) {
  const std::string progressive = jpeg_of_size(8000, 8000, TJFLAG_PROGRESSIVE);  // 4:4:4: 384 MB
  const Error error = header_error(progressive);
  EXPECT_EQ(error.reason(), Reason::kTooLarge);
  EXPECT_THAT(error.what(), testing::HasSubstr("max_decode_mib"));
  EXPECT_EQ(read_image_header(progressive, {.max_decode_bytes = 384'000'000}).coefficient_bytes, 384'000'000);
  EXPECT_EQ(header_error(progressive, {.max_decode_bytes = 383'999'999}).reason(), Reason::kTooLarge);
  EXPECT_EQ(read_image_header(jpeg_of_size(4000, 4000, TJFLAG_PROGRESSIVE)).coefficient_bytes, 96'000'000);
  EXPECT_EQ(read_image_header(jpeg_of_size(8000, 8000)).coefficient_bytes, 0);
}

TEST(ImageHeaderTest, HundredMegapixelsAreRefusedInEveryFormat) {
  EXPECT_EQ(header_error(png_without_pixels(10000, 10000)).reason(), Reason::kTooLarge);
  EXPECT_EQ(header_error(png_without_pixels(0x7fffffff, 0x7fffffff)).reason(), Reason::kTooLarge);
  EXPECT_EQ(header_error(png_without_pixels(0xffffffff, 1)).code(), Code::kInvalidArgument);

  std::string jpeg = fixtures::jpeg_of(fixtures::gradient(16, 16), TJSAMP_444);
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\x27\x10\x27\x10");
  EXPECT_EQ(header_error(jpeg).reason(), Reason::kTooLarge);

  // VP8X with a canvas of 10000 x 10000 (stored minus one, 24 bits) and no image behind it.
  const std::string vp8x = std::string("VP8X\x0a\0\0\0\0\0\0\0", 12) + std::string("\x0f\x27\0\x0f\x27\0", 6);
  const std::string webp = std::string("RIFF\x16\0\0\0WEBP", 12) + vp8x;
  EXPECT_NE(header_error(webp).code(), Code::kOk);
}

TEST(ImageHeaderTest, ByteLimitIsInclusive) {
  const std::string bytes = fixtures::png_of(fixtures::gradient(4, 4));
  const auto size = static_cast<int64_t>(bytes.size());
  EXPECT_EQ(read_image_header(bytes, {size, 1000}).width, 4);
  const Error error = header_error(bytes, {size - 1, 1000});
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_EQ(error.reason(), Reason::kTooLarge);
  EXPECT_EQ(error.field(), "image");
}

TEST(ImageHeaderTest, EmptyImagesAreRefused) {
  EXPECT_EQ(header_error(png_without_pixels(0, 5)).code(), Code::kInvalidArgument);
  EXPECT_EQ(header_error(png_without_pixels(5, 0)).code(), Code::kInvalidArgument);
  EXPECT_EQ(header_error(png_without_pixels(0, 0)).code(), Code::kInvalidArgument);
  std::string jpeg = fixtures::jpeg_of(fixtures::gradient(16, 16), TJSAMP_444);
  jpeg.replace(jpeg.find("\xff\xc0") + 5, 2, std::string(2, '\0'));
  EXPECT_EQ(header_error(jpeg).code(), Code::kInvalidArgument);
}

TEST(ImageHeaderTest, AnimatedWebpHasTheSizeOfItsCanvas) {
  const ImageHeader header = read_image_header(fixtures::animated_webp({fixtures::gradient(8, 6)}, 20, 10));
  EXPECT_EQ(header.width, 20);
  EXPECT_EQ(header.height, 10);
}

TEST(ImageHeaderTest, JpegWithoutAImageIsRefused) {
  EXPECT_EQ(header_error("\xff\xd8\xff\xd9").code(), Code::kInvalidArgument);
  EXPECT_EQ(header_error(std::string("\xff\xd8\xff\xfe\0\1", 6)).code(), Code::kInvalidArgument);
  EXPECT_EQ(header_error(std::string("\xff\xd8\xff\xc3\0\x08\x08\0\1\0\1\1", 12)).code(),
            Code::kInvalidArgument);  // lossless
  EXPECT_EQ(header_error(std::string("\xff\xd8\xff\xc1\0\x08\x0c\0\1\0\1\1", 12)).code(),
            Code::kInvalidArgument);  // 12 bits
}

TEST(ExifTest, BrokenBlocksMeanUpright) {
  const std::string block = fixtures::exif_block(6, true);
  EXPECT_EQ(exif_orientation(block), 6);
  EXPECT_EQ(exif_orientation(std::string("Exif\0\0", 6) + fixtures::exif_block(8, false)), 8);
  for (size_t length = 0; length < 22; ++length)
    EXPECT_EQ(exif_orientation(std::string_view(block).substr(0, length)), 1);
  EXPECT_EQ(exif_orientation(fixtures::exif_block(0, true)), 1);
  EXPECT_EQ(exif_orientation(fixtures::exif_block(9, false)), 1);
  EXPECT_EQ(exif_orientation(std::string("II*\0\xff\xff\xff\xff", 8)), 1);
}

}  // namespace
}  // namespace sf
