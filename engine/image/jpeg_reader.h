// libjpeg-turbo over bytes in memory, for decode_jpeg.cc alone. It continues where libjpeg only warns (stray bytes
// before a marker, padding before the end, damaged blocks), and reports whether data was missing.
//
//   JpegReader reader(bytes, max_memory);
//   reader.call([](jpeg_decompress_struct& jpeg) { jpeg_read_header(&jpeg, TRUE); });  // throws on a libjpeg error
//
// One thread only. Not movable: libjpeg keeps pointers to its members.
#pragma once

// jpeglib.h needs FILE and size_t.
#include <cstdio>
//
#include <jpeglib.h>

#include <csetjmp>
#include <cstdint>
#include <string_view>

#include "engine/image/image_codecs.h"

namespace sf {

class JpegReader {
 public:
  // `max_memory`: bytes that libjpeg may use for coefficients and sample rows.
  JpegReader(std::string_view bytes, int64_t max_memory);
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  jpeg_decompress_struct& jpeg() { return jpeg_; }
  // Of the EXIF block in front of the first scan; 1 without one.
  int orientation() const { return orientation_; }
  // The bytes ended before libjpeg had read the end-of-image marker.
  bool ended_early() const { return ended_early_; }
  // A scan ran out of data before its last row of blocks, or an image of one row before the end of it.
  bool rows_missing() const { return rows_missing_; }
  // A scan ran out of data, if only within its last row of blocks.
  bool data_missing() const { return data_missing_; }

  // Calls `step(jpeg())`, in which libjpeg leaves an error by longjmp. Errors: InvalidArgument with libjpeg's message.
  // REQUIRES: `step` holds no object with a destructor and does not throw.
  template <typename Step>
  void call(Step step) {
    if (setjmp(jump_) != 0) throw bad_image("JPEG is broken (", message_, ")");
    step(jpeg_);
  }

 private:
  static JpegReader& of(j_common_ptr jpeg) { return *static_cast<JpegReader*>(jpeg->client_data); }
  [[noreturn]] static void on_error(j_common_ptr jpeg);
  static void on_message(j_common_ptr jpeg, int level);
  static boolean on_exif(j_decompress_ptr jpeg);
  static boolean refill(j_decompress_ptr jpeg);
  static void skip(j_decompress_ptr jpeg, long num_bytes);

  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  std::jmp_buf jump_{};
  char message_[JMSG_LENGTH_MAX] = "";
  int orientation_ = 0;  // 0: no EXIF block so far
  bool ended_early_ = false, rows_missing_ = false, data_missing_ = false;
};

}  // namespace sf
