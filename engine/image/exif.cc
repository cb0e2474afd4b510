#include "engine/image/exif.h"

#include <cstdint>
#include <string_view>

#include "engine/image/byte_order.h"

namespace sf {
namespace {

constexpr std::string_view kJpegPrefix("Exif\0\0", 6);
constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShortType = 3;
constexpr size_t kEntrySize = 12;

// Reads of a TIFF block in its own byte order; the caller checks the range.
struct TiffReader {
  std::string_view bytes;
  bool little_endian;

  bool has(size_t offset, size_t count) const { return offset <= bytes.size() && count <= bytes.size() - offset; }
  uint32_t u16(size_t at) const { return little_endian ? le16(bytes, at) : be16(bytes, at); }
  uint32_t u32(size_t at) const { return little_endian ? le32(bytes, at) : be32(bytes, at); }
};

}  // namespace

int exif_orientation(std::string_view tiff) {
  if (tiff.substr(0, kJpegPrefix.size()) == kJpegPrefix) tiff.remove_prefix(kJpegPrefix.size());
  if (tiff.size() < 8) return 1;
  const bool little_endian = tiff.substr(0, 2) == "II";
  if (!little_endian && tiff.substr(0, 2) != "MM") return 1;
  const TiffReader reader{tiff, little_endian};
  if (reader.u16(2) != 42) return 1;

  const size_t directory = reader.u32(4);
  if (!reader.has(directory, 2)) return 1;
  const size_t num_entries = reader.u16(directory);
  for (size_t i = 0; i < num_entries; ++i) {
    const size_t entry = directory + 2 + i * kEntrySize;
    if (!reader.has(entry, kEntrySize)) return 1;
    if (reader.u16(entry) != kOrientationTag) continue;
    const uint32_t value = reader.u16(entry + 8);
    const bool is_one_short = reader.u16(entry + 2) == kShortType && reader.u32(entry + 4) == 1;
    return is_one_short && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace sf
