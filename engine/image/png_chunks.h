// The chunks of a PNG, one after the other, without a list of them: a file can hold a million empty ones.
//
//   PngChunks chunks(bytes);
//   while (chunks.next()) use(chunks.type(), chunks.data());
//
// One thread only.
#pragma once

#include <cstddef>
#include <string_view>

namespace sf {

class PngChunks {
 public:
  // REQUIRES: `bytes` begin with kPngMagic.
  explicit PngChunks(std::string_view bytes);
  // Effect: on to the next chunk; false behind IEND. What follows IEND is ignored.
  // Errors: InvalidArgument for a chunk that is cut off, and for the end of the bytes before IEND.
  bool next();

  std::string_view type() const { return type_; }    // four characters
  std::string_view whole() const { return whole_; }  // length, type, data and CRC
  std::string_view data() const { return data_; }

 private:
  std::string_view rest_, type_, whole_, data_;
};

}  // namespace sf
