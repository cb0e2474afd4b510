// Compressed bytes as clients send them. Pure function.
#pragma once

#include <zlib.h>

#include <stdexcept>
#include <string>

namespace sf::test {

inline constexpr int kGzip = 15 + 16, kZlib = 15, kBare = -15;  // windowBits of zlib: the container

inline std::string compress(const std::string& text, int window) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("compress: deflateInit2");
  }
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("compress: deflate");
  return out;
}

}  // namespace sf::test
