// What image tests ask of a decoder.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/image/image.h"

namespace sf::fixtures {

// Of decode_image(): its field is the image.
inline Error error_of(std::string_view bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes, limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "image");
    return error;
  }
  ADD_FAILURE() << "decoded without an error";
  return Error(Code::kOk, "");
}

// Of any channel of any pixel; 256 where the sizes differ.
inline int largest_difference(const Image& a, const Image& b) {
  if (a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

}  // namespace sf::fixtures
