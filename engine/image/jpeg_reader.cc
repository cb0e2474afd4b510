#include "engine/image/jpeg_reader.h"

// Its codes of messages come after jpeglib.h.
#include <jerror.h>

#include <algorithm>

#include "engine/image/exif.h"

namespace sf {
namespace {

constexpr JOCTET kEndOfImage[] = {0xff, JPEG_EOI};

bool is_restart_marker(int marker) { return marker >= JPEG_RST0 && marker <= JPEG_RST0 + 7; }

}  // namespace

JpegReader::JpegReader(std::string_view bytes, int64_t max_memory) {
  jpeg_.err = jpeg_std_error(&errors_);
  errors_.error_exit = on_error;
  errors_.emit_message = on_message;
  jpeg_.client_data = this;
  call([](jpeg_decompress_struct& jpeg) { jpeg_create_decompress(&jpeg); });
  jpeg_.mem->max_memory_to_use = static_cast<long>(max_memory);

  source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
  source_.bytes_in_buffer = bytes.size();
  source_.init_source = [](j_decompress_ptr) {};
  source_.fill_input_buffer = refill;
  source_.skip_input_data = skip;
  source_.resync_to_restart = jpeg_resync_to_restart;
  source_.term_source = [](j_decompress_ptr) {};
  jpeg_.src = &source_;
  jpeg_set_marker_processor(&jpeg_, JPEG_APP0 + 1, on_exif);
}

void JpegReader::on_error(j_common_ptr jpeg) {
  JpegReader& reader = of(jpeg);
  reader.errors_.format_message(jpeg, reader.message_);
  std::longjmp(reader.jump_, 1);
}

// Warnings come here with level -1. One says that a scan's data ended before its blocks; where a restart marker ends
// it, the next interval goes on in its right place, and only blocks within the interval are lost.
void JpegReader::on_message(j_common_ptr jpeg, int) {
  JpegReader& reader = of(jpeg);
  if (reader.errors_.msg_code != JWRN_HIT_MARKER || is_restart_marker(reader.jpeg_.unread_marker)) return;
  reader.data_missing_ = true;
  const JDIMENSION rows = reader.jpeg_.total_iMCU_rows;
  if (rows == 1 || reader.jpeg_.input_iMCU_row + 1 < rows) reader.rows_missing_ = true;
}

// The bytes are all in memory, so the source holds the whole rest.
boolean JpegReader::on_exif(j_decompress_ptr jpeg) {
  JpegReader& reader = of(reinterpret_cast<j_common_ptr>(jpeg));
  jpeg_source_mgr& source = reader.source_;
  if (source.bytes_in_buffer < 2) return refill(jpeg);
  const size_t length = std::max<size_t>(2, source.next_input_byte[0] << 8 | source.next_input_byte[1]);
  const std::string_view data(reinterpret_cast<const char*>(source.next_input_byte) + 2,
                              std::min(length, source.bytes_in_buffer) - 2);
  if (reader.orientation_ == 0 && data.starts_with("Exif")) reader.orientation_ = exif_orientation(data);
  skip(jpeg, static_cast<long>(length));
  return TRUE;
}

boolean JpegReader::refill(j_decompress_ptr jpeg) {
  JpegReader& reader = of(reinterpret_cast<j_common_ptr>(jpeg));
  reader.ended_early_ = true;
  reader.source_.next_input_byte = kEndOfImage;
  reader.source_.bytes_in_buffer = sizeof(kEndOfImage);
  return TRUE;
}

void JpegReader::skip(j_decompress_ptr jpeg, long num_bytes) {
  jpeg_source_mgr& source = *jpeg->src;
  if (num_bytes <= 0) return;
  if (static_cast<size_t>(num_bytes) > source.bytes_in_buffer) {
    refill(jpeg);
    return;
  }
  source.next_input_byte += num_bytes;
  source.bytes_in_buffer -= static_cast<size_t>(num_bytes);
}

}  // namespace sf
