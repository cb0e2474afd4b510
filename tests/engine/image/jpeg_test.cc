// JPEGs as cameras, phones and strangers write them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/image.h"
#include "engine/image/preprocess.h"
#include "tests/engine/image/decoding.h"
#include "tests/engine/image/image_fixtures.h"

namespace sf {
namespace {

using fixtures::error_of, fixtures::largest_difference;
using fixtures::JpegSpec;
using testing::HasSubstr;

const std::string kEnd = "\xff\xd9";

size_t data_begin(const std::string& jpeg) {
  const size_t scan = jpeg.find("\xff\xda");
  return scan + 2 +
         static_cast<size_t>(static_cast<uint8_t>(jpeg[scan + 2]) << 8 | static_cast<uint8_t>(jpeg[scan + 3]));
}

bool is_restart(const std::string& jpeg, size_t at) {
  return jpeg[at] == '\xff' && static_cast<uint8_t>(jpeg[at + 1]) >= 0xd0 && static_cast<uint8_t>(jpeg[at + 1]) <= 0xd7;
}

// `junk` before every restart marker.
std::string before_restarts(const std::string& jpeg, const std::string& junk) {
  std::string out;
  for (size_t i = 0; i < jpeg.size(); ++i) {
    if (i >= data_begin(jpeg) && i + 1 < jpeg.size() && is_restart(jpeg, i)) out += junk;
    out += jpeg[i];
  }
  return out;
}

std::vector<size_t> segment_starts(const std::string& jpeg) {
  std::vector<size_t> starts;
  for (size_t at = 2; at < data_begin(jpeg);) {
    starts.push_back(at);
    at += 2 + static_cast<size_t>(static_cast<uint8_t>(jpeg[at + 2]) << 8 | static_cast<uint8_t>(jpeg[at + 3]));
  }
  return starts;
}

TEST(JpegTest, StrayBytesBeforeRestartMarkersChangeNothing) {
  for (const auto& [h, v] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {2, 2}}) {
    const std::string clean =
        fixtures::jpeg(fixtures::gradient(64, 48), {.restart_interval = 3, .sampling_h = h, .sampling_v = v});
    const Image expected = decode_image(clean);
    for (const std::string& junk : {std::string(1, '\0'), std::string(3, '\0'), std::string("\x12\x34\x56"),
                                    std::string("\xff\xff\xff"), std::string("\xff\0\xff\0", 4)}) {
      const std::string stray = before_restarts(clean, junk);
      ASSERT_GT(stray.size(), clean.size());
      EXPECT_EQ(decode_image(stray).pixels, expected.pixels);
    }
  }
}

TEST(JpegTest, PaddingBeforeTheEndChangesNothing) {
  for (const JpegSpec& spec : {JpegSpec{}, JpegSpec{.progressive = true}, JpegSpec{.restart_interval = 2}}) {
    const std::string clean = fixtures::jpeg(fixtures::gradient(40, 40), spec);
    const Image expected = decode_image(clean);
    for (const std::string& padding : {std::string(12, '\0'), std::string(5000, '\0'), std::string(7, '\xff'),
                                       std::string("\xff\0\xff\0", 4), std::string("camera 7, firmware 1.2")}) {
      EXPECT_EQ(decode_image(clean.substr(0, clean.size() - 2) + padding + kEnd).pixels, expected.pixels);
    }
  }
}

TEST(JpegTest, JunkBetweenHeaderSegmentsChangesNothing) {
  const std::string clean =
      fixtures::with_exif(fixtures::jpeg(fixtures::gradient(24, 16), {}), fixtures::exif_block(6, true));
  const Image expected = decode_image(clean);
  EXPECT_EQ(expected.width, 16);
  for (const std::string& junk : {std::string(1, '\0'), std::string(100, 'x'), std::string("\xff\xff\xff"),
                                  std::string("\xff\0", 2), std::string("\x01\xff\0\x02", 4)}) {
    for (const size_t at : segment_starts(clean)) {
      if (at == 2) continue;  // the magic bytes reach into the first segment
      std::string stray = clean;
      stray.insert(at, junk);
      EXPECT_EQ(read_image_header(stray).width, 16) << at;
      EXPECT_EQ(decode_image(stray).pixels, expected.pixels) << at;
    }
  }
}

TEST(JpegTest, WhatFollowsTheEndIsNotLookedAt) {
  const std::string clean = fixtures::jpeg(fixtures::gradient(32, 32), {.progressive = true});
  std::string movie = std::string("\0\0\0\x18", 4) + "ftypmp42";
  for (int i = 0; i < 500; ++i) movie += "mdat\xff\xda\xff\xc0\xff\xd8\xff";
  EXPECT_EQ(decode_image(clean + movie).pixels, decode_image(clean).pixels);
  EXPECT_EQ(decode_image(clean + clean).pixels, decode_image(clean).pixels) << "a second image, as MPO has";
}

TEST(JpegTest, InksAreInvertedWithAndWithoutAdobesMarker) {
  // White, no red, half black.
  std::vector<uint8_t> inks;
  for (int i = 0; i < 8 * 24; ++i) {
    const int column = i % 24 / 8;
    const uint8_t cyan = column == 1 ? 0 : 255, key = column == 2 ? 128 : 255;
    inks.insert(inks.end(), {cyan, 255, 255, key});
  }
  const Image expected = fixtures::make_image(24, 8, [](int x, int, int c) {
    return static_cast<uint8_t>(x < 8 ? 255 : x < 16 ? (c == 0 ? 0 : 255) : 128);
  });
  EXPECT_LE(largest_difference(decode_image(fixtures::plain_cmyk_jpeg(inks, 24, 8)), expected), 3);
  EXPECT_LE(largest_difference(decode_image(fixtures::cmyk_jpeg(inks, 24, 8)), expected), 3);
}

TEST(JpegTest, MissingRowsAreRefusedWhateverEndsTheFile) {
  for (const JpegSpec& spec : {JpegSpec{}, JpegSpec{.progressive = true}, JpegSpec{.restart_interval = 2},
                               JpegSpec{.scan_for_each_component = true}}) {
    const std::string clean = fixtures::jpeg(fixtures::gradient(64, 64), spec);
    ASSERT_NO_THROW(decode_image(clean));
    const size_t begin = data_begin(clean);
    const std::string cut = clean.substr(0, begin + (clean.size() - begin) / 3);
    for (const std::string& end : {std::string(), kEnd, kEnd + std::string(100, '\0')}) {
      // With restart markers and an end the rows that are left are resynchronised, and the last ones are missing.
      EXPECT_THAT(error_of(cut + end).what(), HasSubstr("rows are missing")) << clean.size() << " " << end.size();
    }
    EXPECT_THAT(error_of(clean.substr(0, begin) + kEnd).what(), HasSubstr("rows are missing"));
  }
}

TEST(JpegTest, AnImageOfOneRowOfBlocksIsRefusedWhereItsDataIsMissing) {
  const std::string clean = fixtures::jpeg(fixtures::gradient(64, 8), {});
  EXPECT_THAT(error_of(clean.substr(0, data_begin(clean)) + kEnd).what(), HasSubstr("rows are missing"));
}

TEST(JpegTest, ADamagedIntervalLosesItsBlocksAlone) {
  const std::string clean = fixtures::jpeg(fixtures::gradient(64, 64), {.restart_interval = 8});
  size_t first = data_begin(clean);
  while (!is_restart(clean, first)) ++first;
  const std::string damaged = clean.substr(0, first - 10) + clean.substr(first);
  const Image expected = decode_image(clean), image = decode_image(damaged);
  EXPECT_TRUE(std::equal(image.pixels.begin() + 64 * 8 * 3, image.pixels.end(), expected.pixels.begin() + 64 * 8 * 3));
}

TEST(JpegTest, EveryCodingOfTheSameCoefficientsIsTheSameImage) {
  const Image image = fixtures::gradient(50, 34);
  const Image expected = decode_image(fixtures::jpeg(image, {}));
  for (const JpegSpec& spec :
       {JpegSpec{.progressive = true}, JpegSpec{.scan_for_each_component = true}, JpegSpec{.arithmetic = true},
        JpegSpec{.progressive = true, .arithmetic = true}, JpegSpec{.restart_interval = 1}}) {
    EXPECT_EQ(decode_image(fixtures::jpeg(image, spec)).pixels, expected.pixels);
  }
}

TEST(JpegTest, OddSamplingsOfVerySmallImages) {
  for (const auto& [h, v] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {1, 4}, {3, 1}}) {
    for (const bool progressive : {false, true}) {
      for (const auto& [width, height] : std::vector<std::pair<int, int>>{{1, 1}, {1, 17}, {17, 1}, {3, 2}}) {
        const Image image =
            fixtures::make_image(width, height, [](int, int, int c) { return static_cast<uint8_t>(60 * c); });
        const std::string bytes = fixtures::jpeg(image, {.progressive = progressive, .sampling_h = h, .sampling_v = v});
        EXPECT_LE(largest_difference(decode_image(bytes), image), 4) << h << v << " " << width << "x" << height;
      }
    }
  }
}

TEST(JpegTest, TwoComponentsAreRefused) {
  std::string bytes = fixtures::jpeg(fixtures::gradient(16, 16), {});
  const size_t frame = bytes.find("\xff\xc0");
  bytes[frame + 3] = static_cast<char>(bytes[frame + 3] - 3);
  bytes[frame + 9] = 2;
  bytes.erase(frame + 10 + 6, 3);
  EXPECT_EQ(error_of(bytes).code(), Code::kInvalidArgument);
}

// --- above kMaxDecodedPixels ---

constexpr int kLargeWidth = 5000, kLargeHeight = 3300;  // 16.5 million

const Image& large_image() {
  static const Image image = fixtures::gradient(kLargeWidth, kLargeHeight);
  return image;
}

const std::string& large_jpeg(bool progressive) {
  static const std::string sequential_bytes = fixtures::jpeg_of(large_image(), TJSAMP_420);
  static const std::string progressive_bytes = fixtures::jpeg_of(large_image(), TJSAMP_420, TJFLAG_PROGRESSIVE);
  return progressive ? progressive_bytes : sequential_bytes;
}

DecodeOptions needs(int64_t width, int64_t height) {
  return {.needed_size = [=](int, int) { return ImageSize{width, height}; }, .check = {}};
}

TEST(LargeJpegTest, IsDecodedAtTheSmallestScaleThatIsStillLargeEnough) {
  for (const bool progressive : {false, true}) {
    const std::string& bytes = large_jpeg(progressive);
    EXPECT_EQ(read_image_header(bytes).width, kLargeWidth);
    const auto width = [&](const DecodeOptions& options) { return decode_image(bytes, {}, options).width; };
    EXPECT_EQ(width({}), 2500);
    EXPECT_EQ(width(needs(625, 413)), 625);
    if (progressive) continue;
    EXPECT_EQ(width(needs(626, 413)), 1250);
    EXPECT_EQ(width(needs(625, 414)), 1250);
    EXPECT_EQ(width(needs(1251, 1)), 2500);
    EXPECT_EQ(width(needs(4000, 3000)), 2500) << "1/2 is the largest scale there is";
  }
}

TEST(LargeJpegTest, IsUprightAtAReducedScale) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string bytes = fixtures::with_exif(large_jpeg(false), fixtures::exif_block(orientation, true));
    // What is needed is asked for the upright image: 600 across the longer side.
    const ImageHeader header = read_image_header(bytes);
    const bool turned = orientation >= 5;
    EXPECT_EQ(header.width, turned ? kLargeHeight : kLargeWidth);
    const Image image = decode_image(bytes, {}, turned ? needs(300, 600) : needs(600, 300));
    EXPECT_EQ(image.width, turned ? 413 : 625);
    EXPECT_EQ(image.height, turned ? 625 : 413);
    const std::string small = fixtures::with_exif(fixtures::jpeg_of(fixtures::gradient(625, 413), TJSAMP_444),
                                                  fixtures::exif_block(orientation, true));
    EXPECT_LE(largest_difference(image, decode_image(small)), 6) << orientation;
  }
}

TEST(LargeJpegTest, TheModelsInputDecidesTheScale) {
  const std::string& bytes = large_jpeg(false);
  const auto width = [&](const PreprocessOptions& options) {
    return decode_image(bytes, {}, decode_options(options)).width;
  };
  EXPECT_EQ(width({}), 625) << "9 cells of 32 pixels at most";
  EXPECT_EQ(width({.stretch = true, .crop_side = 448}), 1250) << "the height of 413 is too small";
  EXPECT_EQ(width({.crop = true, .resize_side = 413, .crop_side = 384}), 625);
  EXPECT_EQ(width({.crop = true, .resize_side = 450, .crop_side = 448}), 1250);
}

TEST(LargeJpegTest, ItsAnswersPixelsAreThoseOfTheWholeImage) {
  const PixelValues expected = preprocess(large_image(), {});
  const PixelValues pixels = preprocess(decode_image(large_jpeg(false), {}, decode_options({})), {});
  EXPECT_EQ(pixels.grid, expected.grid);
  ASSERT_EQ(pixels.values.size(), expected.values.size());
  float largest = 0;
  for (size_t i = 0; i < pixels.values.size(); ++i)
    largest = std::max(largest, std::abs(pixels.values[i] - expected.values[i]));
  EXPECT_LE(largest, 8 * (1.0f / 255 / 0.25f)) << "8 levels: JPEG's loss, and two resizes for one";
}

TEST(LargeJpegTest, AProgressiveOneWhoseCoefficientsDoNotFitIsRefused) {
  // 4:2:0 of 5000x3300, in blocks of 16x16: 313 x 207 x 6 blocks of 128 bytes.
  constexpr int64_t kCoefficients = int64_t{313} * 207 * 6 * 128;
  EXPECT_EQ(read_image_header(large_jpeg(true)).coefficient_bytes, kCoefficients);
  EXPECT_EQ(decode_image(large_jpeg(true), {.max_decode_bytes = kCoefficients}, needs(1, 1)).width, 625);
  const Error error = error_of(large_jpeg(true), {.max_decode_bytes = kCoefficients - 1});
  EXPECT_EQ(error.reason(), Reason::kTooLarge);
  EXPECT_THAT(error.what(), HasSubstr("max_decode_mib"));
}

// --- work ---

// A progressive JPEG of one flat colour whose scans after the first say nothing: `num_refinements` times the
// coefficients 1..63 of each component, in runs of 32766 empty blocks.
std::string flat_jpeg_of_empty_scans(int side, int num_refinements) {
  const auto be16 = [](int value) { return std::string{static_cast<char>(value >> 8), static_cast<char>(value)}; };
  const auto segment = [&](uint8_t marker, const std::string& data) {
    return std::string{'\xff', static_cast<char>(marker)} + be16(static_cast<int>(data.size()) + 2) + data;
  };
  const std::string one_code = std::string(1, '\1') + std::string(15, '\0');  // one code of one bit
  std::string bytes = "\xff\xd8" + segment(0xdb, std::string(1, '\0') + std::string(64, '\1'));
  bytes += segment(0xc2, '\x08' + be16(side) + be16(side) + std::string("\3\1\x11\0\2\x11\0\3\x11\0", 10));
  bytes += segment(0xc4, std::string(1, '\0') + one_code + std::string(1, '\0'));  // DC: difference 0
  bytes += segment(0xc4, '\x10' + one_code + '\xe0');                              // AC: a run of 2^14 and 14 more bits
  const int num_blocks = ((side + 7) / 8) * ((side + 7) / 8);
  bytes += segment(0xda, std::string("\3\1\0\2\0\3\0\0\0\0", 10)) +
           std::string(static_cast<size_t>(num_blocks * 3 / 8 + 1), '\0');

  std::string bits;
  for (int left = num_blocks; left > 0; left -= 32766) bits += "011111111111110";
  bits.resize((bits.size() + 7) / 8 * 8, '0');
  std::string runs;
  for (size_t i = 0; i < bits.size(); i += 8) {
    runs += static_cast<char>(std::stoi(bits.substr(i, 8), nullptr, 2));
    if (runs.back() == '\xff') runs += '\0';
  }
  for (int component = 1; component <= 3; ++component) {
    for (int low = num_refinements - 1, high = 0; low >= 0; high = low, --low) {
      const std::string head{1, static_cast<char>(component), 0, 1, 63, static_cast<char>(high << 4 | low)};
      bytes += segment(0xda, head) + runs;
    }
  }
  return bytes + kEnd;
}

TEST(JpegTest, ScansThatVisitALargeImageAgainAndAgainAreRefused) {
  // 187,500 blocks a component of 63 coefficients: 35 million visits a refinement of all three.
  EXPECT_EQ(decode_image(flat_jpeg_of_empty_scans(1000, 13)).pixels[0], 128);
  const std::string bytes = flat_jpeg_of_empty_scans(4000, 13);
  EXPECT_LT(bytes.size(), 200'000u);
  const Error error = error_of(bytes);
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("512000000 coefficients"));
}

}  // namespace
}  // namespace sf
