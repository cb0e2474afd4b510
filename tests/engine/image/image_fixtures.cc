#include "tests/engine/image/image_fixtures.h"

// jpeglib.h needs FILE and size_t.
#include <cstdio>
//
#include <jpeglib.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace sf::fixtures {
namespace {

std::string be32_bytes(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string compress_jpeg(const uint8_t* pixels, int width, int height, int format, int subsampling, int flags) {
  tjhandle handle = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  if (tjCompress2(handle, pixels, width, 0, height, format, &data, &size, subsampling, 95, flags) != 0) {
    throw std::runtime_error(tjGetErrorStr2(handle));
  }
  std::string bytes(reinterpret_cast<char*>(data), size);
  tjFree(data);
  tjDestroy(handle);
  return bytes;
}

// Effect: compresses `pixels` as jpeg_set_defaults and then `configure` say. libjpeg ends the program on an error.
std::string compress_with_libjpeg(const std::vector<uint8_t>& pixels, int width, int height, J_COLOR_SPACE space,
                                  const std::function<void(jpeg_compress_struct&)>& configure) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &data, &size);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = space == JCS_CMYK ? 4 : 3;
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  configure(jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    const size_t at = static_cast<size_t>(jpeg.next_scanline) * static_cast<size_t>(width * jpeg.input_components);
    auto* row = const_cast<JSAMPROW>(&pixels[at]);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<char*>(data), size);
  free(data);
  return bytes;
}

std::string take_webp(uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<char*>(data), size);
  WebPFree(data);
  return bytes;
}

void append_rows(const Image& image, int x0, int y0, int dx, int dy, std::string& rows) {
  if (x0 >= image.width) return;
  for (int y = y0; y < image.height; y += dy) {
    rows += '\0';
    for (int x = x0; x < image.width; x += dx) {
      rows.append(reinterpret_cast<const char*>(&image.pixels[static_cast<size_t>(y * image.width + x) * 3]), 3);
    }
  }
}

}  // namespace

std::string png_chunk(std::string_view type, std::string_view data) {
  std::string body = std::string(type) + std::string(data);
  const auto crc =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  return be32_bytes(static_cast<uint32_t>(data.size())) + body + be32_bytes(crc);
}

std::string png_header(const PngSpec& spec) {
  std::string ihdr = be32_bytes(spec.width) + be32_bytes(spec.height);
  ihdr += static_cast<char>(spec.bit_depth);
  ihdr += static_cast<char>(spec.color_type);
  ihdr += std::string(2, '\0');
  ihdr += static_cast<char>(spec.interlaced);
  return std::string("\x89PNG\r\n\x1a\n", 8) + png_chunk("IHDR", ihdr);
}

std::string deflated(std::string_view raw) {
  std::string out(compressBound(static_cast<uLong>(raw.size())), '\0');
  uLongf size = static_cast<uLongf>(out.size());
  compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
            static_cast<uLong>(raw.size()), 9);
  out.resize(size);
  return out;
}

std::string png(const PngSpec& spec, std::string_view rows, std::string_view before_data) {
  return png_header(spec) + std::string(before_data) + png_chunk("IDAT", deflated(rows)) + png_chunk("IEND", "");
}

std::string png_of(const Image& image, bool interlaced, std::string_view before_data) {
  std::string rows;
  if (interlaced) {
    const int passes[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                              {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    for (const auto& pass : passes) append_rows(image, pass[0], pass[1], pass[2], pass[3], rows);
  } else {
    append_rows(image, 0, 0, 1, 1, rows);
  }
  const PngSpec spec{static_cast<uint32_t>(image.width), static_cast<uint32_t>(image.height), 8, 2, interlaced};
  return png(spec, rows, before_data);
}

std::string jpeg_of(const Image& image, int subsampling, int flags) {
  return compress_jpeg(image.pixels.data(), image.width, image.height, TJPF_RGB, subsampling, flags);
}

std::string jpeg(const Image& image, const JpegSpec& spec) {
  jpeg_scan_info scans[3] = {};
  for (int i = 0; i < 3; ++i)
    scans[i] = {.comps_in_scan = 1, .component_index = {i}, .Ss = 0, .Se = 63, .Ah = 0, .Al = 0};
  return compress_with_libjpeg(image.pixels, image.width, image.height, JCS_RGB, [&](jpeg_compress_struct& jpeg) {
    jpeg.arith_code = spec.arithmetic ? TRUE : FALSE;
    jpeg.restart_interval = static_cast<unsigned>(spec.restart_interval);
    jpeg.comp_info[0].h_samp_factor = spec.sampling_h;
    jpeg.comp_info[0].v_samp_factor = spec.sampling_v;
    if (spec.progressive) jpeg_simple_progression(&jpeg);
    if (spec.scan_for_each_component) {
      jpeg.scan_info = scans;
      jpeg.num_scans = 3;
    }
  });
}

std::string plain_cmyk_jpeg(const std::vector<uint8_t>& cmyk, int width, int height) {
  return compress_with_libjpeg(cmyk, width, height, JCS_CMYK, [](jpeg_compress_struct& jpeg) {
    jpeg_set_colorspace(&jpeg, JCS_CMYK);
    jpeg.write_Adobe_marker = FALSE;
  });
}

std::string cmyk_jpeg(const std::vector<uint8_t>& cmyk, int width, int height) {
  return compress_jpeg(cmyk.data(), width, height, TJPF_CMYK, TJSAMP_444, 0);
}

std::string webp_of(const Image& image) {
  uint8_t* data = nullptr;
  const size_t size = WebPEncodeLosslessRGB(image.pixels.data(), image.width, image.height, image.width * 3, &data);
  return take_webp(data, size);
}

std::string webp_with_alpha(const std::vector<uint8_t>& rgba, int width, int height) {
  uint8_t* data = nullptr;
  const size_t size = WebPEncodeLosslessRGBA(rgba.data(), width, height, width * 4, &data);
  return take_webp(data, size);
}

std::string animated_webp(const std::vector<Image>& frames, int width, int height) {
  const auto le = [](uint32_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
    return bytes;
  };
  const auto chunk = [&](const std::string& type, const std::string& data) {
    return type + le(static_cast<uint32_t>(data.size()), 4) + data + std::string(data.size() % 2, '\0');
  };
  const auto canvas = le(static_cast<uint32_t>(width - 1), 3) + le(static_cast<uint32_t>(height - 1), 3);
  std::string body = "WEBP" + chunk("VP8X", le(0x02, 4) + canvas) + chunk("ANIM", std::string(6, '\0'));
  for (const Image& frame : frames) {
    const std::string head = le(1, 3) + le(2, 3) + le(static_cast<uint32_t>(frame.width - 1), 3) +
                             le(static_cast<uint32_t>(frame.height - 1), 3) + le(100, 3) + le(0, 1);
    body += chunk("ANMF", head + webp_of(frame).substr(12));
  }
  return "RIFF" + le(static_cast<uint32_t>(body.size()), 4) + body;
}

std::string exif_block(int orientation, bool little_endian) {
  const auto value = static_cast<char>(orientation);
  const std::string zero(1, '\0');
  if (little_endian) {
    return std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + value + std::string(7, '\0');
  }
  return std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01", 18) + zero + value + std::string(6, '\0');
}

std::string with_exif(std::string_view jpeg, std::string_view block) {
  const std::string data = std::string("Exif\0\0", 6) + std::string(block);
  const size_t length = data.size() + 2;
  const std::string segment =
      std::string("\xff\xe1") + static_cast<char>(length >> 8) + static_cast<char>(length) + data;
  return std::string(jpeg.substr(0, 2)) + segment + std::string(jpeg.substr(2));
}

Image make_image(int width, int height, const std::function<uint8_t(int, int, int)>& value) {
  Image image{width, height, {}};
  image.pixels.reserve(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) image.pixels.push_back(value(x, y, c));
    }
  }
  return image;
}

Image gradient(int width, int height) {
  return make_image(width, height, [&](int x, int y, int c) {
    const int ramp = c == 0 ? 255 * x / std::max(1, width - 1) : c == 1 ? 255 * y / std::max(1, height - 1) : 128;
    return static_cast<uint8_t>(ramp);
  });
}

}  // namespace sf::fixtures
