// The table of contents of a zip file whose entries are stored, not compressed: what torch.save() writes. Format:
// PKWARE's APPNOTE.TXT, ZIP64 included. Every offset is checked against the file; nothing is unpacked.
//
//   RandomAccessFile file("model.pth");
//   std::map<std::string, ZipEntry> entries = read_zip_directory(file, "model.pth");
//
// Thread-safe: a free function.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/file.h"

namespace sf {

struct ZipEntry {
  int64_t begin = 0;  // of its bytes in the file
  int64_t size = 0;
};

// Errors: DataLoss with `file_name` for what is no zip file, is cut off, has an entry that is compressed, encrypted,
// named twice or outside the file, or a table of contents over 64 MiB.
std::map<std::string, ZipEntry> read_zip_directory(const RandomAccessFile& file, const std::string& file_name);

}  // namespace sf
