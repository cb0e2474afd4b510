#include "server/wire/inflater.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <string>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr const char* kHeader = "Content-Encoding";
constexpr int kGzipWindow = 15 + 16, kZlibWindow = 15, kBareWindow = -15;

[[noreturn]] void refuse(const char* what) { throw invalid_argument(kHeader, kHeader, ": ", what); }

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

ContentCoding content_coding(std::string_view header) {
  std::string name(trim(header));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name.empty() || name == "identity") return ContentCoding::kNone;
  if (name == "gzip" || name == "x-gzip") return ContentCoding::kGzip;
  if (name == "deflate") return ContentCoding::kDeflate;
  throw Error(Code::kInvalidArgument, "Content-Encoding: must be gzip, deflate or identity", kHeader,
              Reason::kUnsupportedType);
}

struct Inflater::Stream {
  ContentCoding coding;
  z_stream zlib{};
  bool begun = false;  // a window was chosen
  bool ended = false;  // at the end of a whole stream
  std::string first = {};
  std::array<char, 64 << 10> block;

  // "deflate" is zlib's format by the standard; bare deflate is known by the two bytes that zlib's format begins with.
  int window() const {
    if (coding == ContentCoding::kGzip) return kGzipWindow;
    const auto method = static_cast<unsigned char>(first[0]), flags = static_cast<unsigned char>(first[1]);
    return (method & 0x0f) == Z_DEFLATED && (method * 256 + flags) % 31 == 0 ? kZlibWindow : kBareWindow;
  }

  bool inflate_all(std::string_view piece, const Take& take) {
    while (!piece.empty()) {
      if (ended && coding != ContentCoding::kGzip) refuse("bytes follow the end of the compressed body");
      if (ended) inflateReset(&zlib);
      ended = false;
      const size_t given = std::min<size_t>(piece.size(), UINT_MAX);
      zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
      zlib.avail_in = static_cast<uInt>(given);
      if (!inflate_some(take)) return false;
      piece.remove_prefix(given - zlib.avail_in);
    }
    return true;
  }

  // Until the input is used up or the stream ends.
  bool inflate_some(const Take& take) {
    do {
      zlib.next_out = reinterpret_cast<Bytef*>(block.data());
      zlib.avail_out = static_cast<uInt>(block.size());
      const int result = inflate(&zlib, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        refuse("the body is not what it says");
      }
      ended = result == Z_STREAM_END;
      const size_t size = block.size() - zlib.avail_out;
      if (size > 0 && !take(std::string_view(block.data(), size))) return false;
    } while (!ended && (zlib.avail_in > 0 || zlib.avail_out == 0));
    return true;
  }
};

Inflater::Inflater(ContentCoding coding) : stream_(std::make_unique<Stream>()) { stream_->coding = coding; }

Inflater::~Inflater() {
  if (stream_->begun) inflateEnd(&stream_->zlib);
}

bool Inflater::feed(std::string_view piece, const Take& take) {
  if (stream_->begun) return stream_->inflate_all(piece, take);
  stream_->first += piece;
  if (stream_->first.size() < 2) return true;
  SF_CHECK(inflateInit2(&stream_->zlib, stream_->window()) == Z_OK, "inflater: zlib has no memory");
  stream_->begun = true;
  const std::string first = std::move(stream_->first);
  return stream_->inflate_all(first, take);
}

void Inflater::finish() const {
  if (!stream_->begun || !stream_->ended) refuse("the compressed body ends early");
}

}  // namespace sf::server
