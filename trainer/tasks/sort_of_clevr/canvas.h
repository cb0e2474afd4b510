// Drawing on an RGB image: discs, turned boxes, polygons, lines, words. Positions and sizes are exact below a pixel;
// with `antialias` off a pixel is painted when its centre is inside.
//
//   Canvas canvas(image, /*antialias=*/true);
//   canvas.disc(30, 40, 8, {255, 0, 0});
//
// One thread only. Shapes may reach outside the image.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/image/image.h"
#include "trainer/data/rng.h"

namespace sf::data {

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

struct Point {
  float x = 0, y = 0;
};

// hue in degrees (any), saturation and value in 0..1.
Rgb hsv(float hue, float saturation, float value);
Rgb mix(Rgb a, Rgb b, float weight_of_b);
Rgb random_rgb(Rng& rng);
float distance(Rgb a, Rgb b);                    // Euclidean, 0..441
float distance_to_segment(Rgb c, Rgb a, Rgb b);  // to the nearest mixture of a and b

Image filled(int width, int height, Rgb colour);

class Canvas {
 public:
  Canvas(Image& image, bool antialias) : image_(image), antialias_(antialias) {}

  void disc(float x, float y, float radius, Rgb colour);
  // A box of half sides (half_x, half_y), turned by `angle` radians.
  void box(float x, float y, float half_x, float half_y, float angle, Rgb colour);
  void ring(float x, float y, float outer, float inner, Rgb colour);
  void polygon(const std::vector<Point>& corners, Rgb colour);  // even-odd
  void line(Point a, Point b, float width, Rgb colour);
  void pie(float x, float y, float radius, float from, float to, Rgb colour);  // radians, from < to <= from + 2 pi
  // Capital letters and digits of height 5 * dot and stride 4 * dot, their top left corner at (x, y). Returns the x
  // behind the last one.
  float word(std::string_view word, float x, float y, float dot, Rgb colour);

 private:
  void fill(const std::vector<std::vector<Point>>& contours, Rgb colour);  // the second contour is a hole
  Image& image_;
  bool antialias_;
};

}  // namespace sf::data
