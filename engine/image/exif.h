// The EXIF orientation: the one field that changes what an image shows. Pure functions.
#pragma once

#include <string_view>

namespace sf {

// Effect: the orientation (1..8) in IFD0 of a TIFF block, with or without the "Exif\0\0" that JPEG puts in front;
// 1 where the block is broken, cut off or has no such field. Never throws.
int exif_orientation(std::string_view tiff);

}  // namespace sf
