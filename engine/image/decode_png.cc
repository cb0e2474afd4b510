// libpng's push reader. It is fed only the five chunks that decide pixels, so compressed texts and colour profiles cost
// nothing and change nothing; and it stops at the last row, where the pull reader would go on inflating.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/image/image_codecs.h"
#include "engine/image/png_chunks.h"

namespace sf {
namespace {

// Bytes between two looks at the deadline; they can inflate to a thousand times as many.
constexpr size_t kSlice = 16 << 10;

// One decode, as the callbacks see it.
struct PngDecode {
  int width = 0;
  int height = 0;
  int channels = 0;
  uint8_t* pixels = nullptr;  // filled row by row; sized for four channels, used for `channels`
  size_t capacity = 0;
  bool complete = false;  // every row of every pass came, and then IEND
  char error[128] = "too few rows";
};

void on_error(png_structp png, png_const_charp message) {
  auto* decode = static_cast<PngDecode*>(png_get_error_ptr(png));
  std::strncpy(decode->error, message, sizeof(decode->error) - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_info(png_structp png, png_infop info) {
  auto* decode = static_cast<PngDecode*>(png_get_progressive_ptr(png));
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  decode->channels = png_get_channels(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  const bool as_announced = static_cast<int>(png_get_image_width(png, info)) == decode->width &&
                            static_cast<int>(png_get_image_height(png, info)) == decode->height &&
                            (decode->channels == 3 || decode->channels == 4) &&
                            row_bytes == static_cast<size_t>(decode->width) * static_cast<size_t>(decode->channels) &&
                            row_bytes * static_cast<size_t>(decode->height) <= decode->capacity;
  if (!as_announced) png_error(png, "unexpected layout");
}

void on_row(png_structp png, png_bytep new_row, png_uint_32 row, int) {
  auto* decode = static_cast<PngDecode*>(png_get_progressive_ptr(png));
  if (row >= static_cast<png_uint_32>(decode->height)) png_error(png, "row out of range");
  const size_t row_bytes = static_cast<size_t>(decode->width) * static_cast<size_t>(decode->channels);
  if (new_row != nullptr) png_progressive_combine_row(png, decode->pixels + row * row_bytes, new_row);
}

void on_end(png_structp png, png_infop info) {
  auto* decode = static_cast<PngDecode*>(png_get_progressive_ptr(png));
  // A well-formed but too short stream ends without an error, so ask where the reader stands. Adam7 has 7 passes.
  decode->complete = png_get_interlace_type(png, info) == PNG_INTERLACE_NONE
                         ? png_get_current_row_number(png) >= static_cast<png_uint_32>(decode->height)
                         : png_get_current_pass_number(png) >= 7;
}

// Owns what libpng allocates. One thread only.
class PngReader {
 public:
  explicit PngReader(PngDecode& decode) : decode_(decode) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decode, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    SF_CHECK(info_ != nullptr, "image: PNG decoder could not be made");
    png_set_user_limits(png_, kMaxImageSide, kMaxImageSide);  // the pixel limit has been checked already
    png_set_progressive_read_fn(png_, &decode, on_info, on_row, on_end);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // Errors: InvalidArgument for what libpng refuses. Holds no object with a destructor where libpng jumps.
  void feed(std::string_view bytes) {
    if (setjmp(png_jmpbuf(png_)) != 0) throw bad_image("PNG is truncated or corrupt (", decode_.error, ")");
    // libpng takes a pointer to mutable bytes and does not write to them.
    png_process_data(png_, info_, reinterpret_cast<png_bytep>(const_cast<char*>(bytes.data())), bytes.size());
  }

 private:
  PngDecode& decode_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

bool decides_pixels(std::string_view type) {
  return type == "IHDR" || type == "PLTE" || type == "tRNS" || type == "IDAT" || type == "IEND";
}

bool may_have_alpha(std::string_view bytes) {
  for (PngChunks chunks(bytes); chunks.next();) {
    if (chunks.type() == "tRNS") return true;
    if (chunks.type() == "IHDR" && chunks.data().size() == 13 && (chunks.data()[9] & 4) != 0) return true;
  }
  return false;
}

// Effect: the pixels as libpng gives them, decode.channels each.
void run_png(std::string_view bytes, PngDecode& decode, const DecodeCheck& check) {
  PngReader reader(decode);
  reader.feed(kPngMagic);
  for (PngChunks chunks(bytes); chunks.next();) {
    if (!decides_pixels(chunks.type())) continue;
    for (std::string_view rest = chunks.whole(); !rest.empty(); rest.remove_prefix(std::min(kSlice, rest.size()))) {
      check();
      reader.feed(rest.substr(0, kSlice));
    }
  }
  if (!decode.complete) throw bad_image("PNG is truncated or corrupt (", decode.error, ")");
}

}  // namespace

Image decode_png(std::string_view bytes, const ImageHeader& header, const DecodeCheck& check) {
  const size_t num_pixels = static_cast<size_t>(header.width) * static_cast<size_t>(header.height);
  std::vector<uint8_t> pixels(num_pixels * (may_have_alpha(bytes) ? 4 : 3));
  PngDecode decode;
  decode.width = header.width;
  decode.height = header.height;
  decode.pixels = pixels.data();
  decode.capacity = pixels.size();
  run_png(bytes, decode, check);
  if (decode.channels == 4)
    composite_over_white(pixels);
  else
    pixels.resize(num_pixels * 3);
  return {header.width, header.height, std::move(pixels)};
}

}  // namespace sf
