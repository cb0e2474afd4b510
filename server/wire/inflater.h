// A compressed request body (RFC 9110, 8.4.1), piece by piece: constant memory, linear in what comes out, and no
// further than the caller wants it.
//
//   Inflater inflater(ContentCoding::kGzip);
//   while (receive(piece)) {
//     if (!inflater.feed(piece, [&](std::string_view text) { return take(text); })) break;   // take() said enough
//   }
//   inflater.finish();
//
// One thread only.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace sf::server {

enum class ContentCoding {
  kNone,
  kGzip,     // one member or several, one after the other
  kDeflate,  // zlib's format, or bare deflate, which some clients send under that name
};

// What a Content-Encoding header means; empty and "identity" are kNone. Errors: InvalidArgument/kUnsupportedType (field
// Content-Encoding) for any other coding and for several.
ContentCoding content_coding(std::string_view header);

class Inflater {
 public:
  // Gets at most 64 KiB; false = it wants no more.
  using Take = std::function<bool(std::string_view piece)>;

  // REQUIRES: not kNone.
  explicit Inflater(ContentCoding coding);
  ~Inflater();

  // False once `take` has given false. Errors: InvalidArgument (field Content-Encoding) for bytes that are not what the
  // coding says; those of `take`.
  bool feed(std::string_view piece, const Take& take);
  // Errors: InvalidArgument (field Content-Encoding) if the end is missing.
  void finish() const;

 private:
  struct Stream;
  const std::unique_ptr<Stream> stream_;
};

}  // namespace sf::server
