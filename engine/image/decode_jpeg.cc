#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/image/image_codecs.h"
#include "engine/image/jpeg_reader.h"

namespace sf {
namespace {

// Each scan of a progressive JPEG visits the whole image, so scans multiply the cost of few bytes. Usual are about 10,
// which visit a coefficient 3 times, and the most that --max-decode-mib 256 holds are 134 million coefficients. The
// limit stands for about a second.
constexpr int kMaxScans = 100;
constexpr int64_t kMaxCoefficientVisits = 512'000'000;
constexpr int kBlockOverhead = 8;     // a block costs as much as this many coefficients, however few are visited
constexpr int kArithmeticWeight = 4;  // of a visit by the arithmetic decoder
constexpr int64_t kBytesPerBlock = 64 * sizeof(JCOEF);
// What libjpeg holds beside coefficients: rows of samples, tables.
constexpr int64_t kRowMemory = 48 << 20;
constexpr int kRowsBetweenChecks = 16;

Error rows_missing() { return bad_image("JPEG is truncated: rows are missing"); }

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Of all blocks of the image, as libjpeg lays them out.
int64_t coefficient_bytes(const jpeg_decompress_struct& jpeg) {
  int64_t blocks = 0;
  for (int i = 0; i < jpeg.num_components; ++i) {
    const jpeg_component_info& component = jpeg.comp_info[i];
    blocks += round_up(component.width_in_blocks, component.h_samp_factor) *
              round_up(component.height_in_blocks, component.v_samp_factor);
  }
  return blocks * kBytesPerBlock;
}

// Coefficients that the scan being read visits, padding included.
int64_t scan_visits(const jpeg_decompress_struct& jpeg) {
  const int64_t blocks = int64_t{jpeg.MCU_rows_in_scan} * jpeg.MCUs_per_row * jpeg.blocks_in_MCU;
  const int band = jpeg.progressive_mode ? jpeg.Se - jpeg.Ss + 1 : DCTSIZE2;
  return blocks * std::max(band, kBlockOverhead) * (jpeg.arith_code ? kArithmeticWeight : 1);
}

void check_work(int64_t visits) {
  if (visits <= kMaxCoefficientVisits) return;
  throw bad_image("JPEG takes too much work, its scans visit more than ", kMaxCoefficientVisits, " coefficients");
}

void read_header(JpegReader& reader) {
  reader.call([](jpeg_decompress_struct& jpeg) { jpeg_read_header(&jpeg, TRUE); });
  if (reader.ended_early()) throw bad_image("JPEG is truncated");
  const int components = reader.jpeg().num_components;
  if (components != 1 && components != 3 && components != 4) {
    throw bad_image("JPEG must have 1, 3 or 4 components, got ", components);
  }
}

// Inks as stored, which by Adobe's convention are inverted: 255 is none. Other decoders take every CMYK file so.
void rgb_of_inks(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((cmyk[c] * cmyk[3] + 127) / 255);
  }
}

// Every coefficient is there to its last bit. (A sequential image is complete in one scan a component.)
bool is_complete(const jpeg_decompress_struct& jpeg) {
  if (jpeg.coef_bits == nullptr) return true;
  for (int i = 0; i < jpeg.num_components; ++i) {
    if (std::any_of(jpeg.coef_bits[i], jpeg.coef_bits[i] + DCTSIZE2, [](int bits) { return bits != 0; })) return false;
  }
  return true;
}

// Effect: reads all scans into the coefficients. Errors: InvalidArgument for too much work.
void read_scans(JpegReader& reader, const DecodeCheck& check) {
  jpeg_decompress_struct& jpeg = reader.jpeg();
  int scan = 0, components_seen = 0, state = JPEG_SUSPENDED;
  int64_t visits = 0;
  while (state != JPEG_REACHED_EOI) {
    if (jpeg.input_scan_number != scan) {
      scan = jpeg.input_scan_number;
      components_seen += jpeg.comps_in_scan;
      visits += scan_visits(jpeg);
      if (scan > kMaxScans) throw bad_image("JPEG has more than ", kMaxScans, " scans");
      check_work(visits);
    }
    check();
    reader.call([&state](jpeg_decompress_struct& each) { state = jpeg_consume_input(&each); });
  }
  if (!jpeg.progressive_mode && components_seen < jpeg.num_components) throw rows_missing();
}

void read_rows(JpegReader& reader, const DecodeCheck& check, Image& image) {
  jpeg_decompress_struct& jpeg = reader.jpeg();
  const bool inks = jpeg.out_color_space == JCS_CMYK;
  const size_t stride = static_cast<size_t>(image.width) * 3;
  std::vector<uint8_t> ink_row(inks ? static_cast<size_t>(image.width) * 4 : 0);
  while (jpeg.output_scanline < jpeg.output_height) {
    if (jpeg.output_scanline % kRowsBetweenChecks == 0) check();
    uint8_t* rgb = image.pixels.data() + jpeg.output_scanline * stride;
    uint8_t* row = inks ? ink_row.data() : rgb;
    reader.call([&row](jpeg_decompress_struct& each) { jpeg_read_scanlines(&each, &row, 1); });
    if (inks) rgb_of_inks(row, image.width, rgb);
    if (reader.rows_missing()) return;
  }
}

}  // namespace

ImageHeader read_jpeg_header(std::string_view bytes) {
  JpegReader reader(bytes, kRowMemory);
  read_header(reader);
  const jpeg_decompress_struct& jpeg = reader.jpeg();
  ImageHeader header{ImageFormat::kJpeg, static_cast<int>(jpeg.image_width), static_cast<int>(jpeg.image_height),
                     std::max(1, reader.orientation())};
  const int64_t coefficients = coefficient_bytes(jpeg);
  check_work(coefficients / int64_t{sizeof(JCOEF)} * (jpeg.arith_code ? kArithmeticWeight : 1));
  if (jpeg_has_multiple_scans(&reader.jpeg())) header.coefficient_bytes = coefficients;
  return header;
}

Image decode_jpeg(std::string_view bytes, const ImageHeader& header, int scale, const DecodeCheck& check) {
  JpegReader reader(bytes, header.coefficient_bytes + kRowMemory);
  read_header(reader);
  jpeg_decompress_struct& jpeg = reader.jpeg();
  jpeg.out_color_space = jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg.scale_num = 1;
  jpeg.scale_denom = static_cast<unsigned>(scale);
  const bool several_scans = jpeg_has_multiple_scans(&jpeg);
  // Otherwise libjpeg would read all scans in one call.
  jpeg.buffered_image = several_scans ? TRUE : FALSE;
  reader.call([](jpeg_decompress_struct& each) { jpeg_start_decompress(&each); });
  if (several_scans) {
    read_scans(reader, check);
    reader.call([](jpeg_decompress_struct& each) { jpeg_start_output(&each, each.input_scan_number); });
  }

  Image image{static_cast<int>(jpeg.output_width), static_cast<int>(jpeg.output_height), {}};
  if (!reader.rows_missing()) {
    image.pixels.resize(static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3);
    read_rows(reader, check, image);
  }
  // An image without its end-of-image marker alone is whole. With arithmetic coding, data missing at the end is not
  // detected.
  const bool cut = reader.ended_early() && (reader.data_missing() || !is_complete(jpeg) || jpeg.arith_code);
  if (reader.rows_missing() || cut) throw rows_missing();
  return image;
}

}  // namespace sf
