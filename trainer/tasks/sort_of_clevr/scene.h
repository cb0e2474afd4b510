// A Sort-of-CLEVR scene: one to six objects, each colour at most once, each a circle or a square; and its facts.
//
//   Scene scene = generate_scene(rng, {.min_objects = 6, .max_objects = 6});
//   int other = nearest(scene, 0);   // index of the object whose centre is closest to that of object 0
//
// Coordinates are continuous pixels: (0,0) is the image's top left corner, the first pixel's centre is (0.5, 0.5).
// Thread-safe: free functions without state.
#pragma once

#include <string_view>
#include <vector>

#include "trainer/data/rng.h"

namespace sf::data {

enum Colour { kRed, kGreen, kBlue, kOrange, kGrey, kYellow };
enum Shape { kCircle, kSquare };
inline constexpr int kNumColours = 6;
inline constexpr int kNumShapes = 2;

std::string_view colour_word(Colour colour);  // "red" ... "grey", "yellow"
std::string_view shape_word(Shape shape);     // "circle", "square"

struct Object {
  Colour colour = kRed;
  Shape shape = kCircle;
  float x = 0, y = 0;  // centre
  float half = 0;      // radius, or half the side
  float angle = 0;     // of a square, radians; 0 = sides along the axes
};

// Half the side of the axis-parallel box around the object (half, or more for a turned square).
float half_extent(const Object& object);

// An image without objects is not a scene: every question about it is refused.
struct Scene {
  int width = 0;
  int height = 0;
  std::vector<Object> objects;
};

// Lengths called "of the short side" are fractions of min(width, height). The defaults are the paper's image.
struct SceneOptions {
  int min_objects = 6;
  int max_objects = 6;
  int width = 75;
  int height = 75;
  float min_half = 5.f / 75;  // of the short side
  float max_half = 5.f / 75;
  float mixed_sizes = 0;            // probability that the objects of one image differ in size
  float turned_squares = 0;         // probability that the squares of one image are turned by up to 15 degrees
  float min_distance = 10.f / 75;   // between centres, of the short side
  float centre_margin = 0.5f / 75;  // |x - width/2| and |y - height/2| are at least this, of the short side
  float min_half_px = 4;            // no object is smaller than this, whatever the fractions say
};

// Effect: objects fully inside, not overlapping, in random order of colour. Colours and shapes are uniform.
// REQUIRES: 1 <= min_objects <= max_objects <= 6 and an image with room for them; fewer objects come back when there
// is none after many draws.
Scene generate_scene(Rng& rng, const SceneOptions& options);

bool left_of_centre(const Scene& scene, int object);  // x < width / 2
bool in_top_half(const Scene& scene, int object);     // y < height / 2
int nearest(const Scene& scene, int object);          // by centres; -1 where the object is alone
int furthest(const Scene& scene, int object);
int same_shape_count(const Scene& scene, int object);  // itself included: 1..6
int find_colour(const Scene& scene, Colour colour);    // index, or -1

// How far a fact is from being another one, in pixels of an image whose short side is 75: the distance to the
// image's middle line, or the gap between the two best candidates. kNoMargin where there is only one candidate.
inline constexpr float kNoMargin = 1e6f;
float left_right_margin(const Scene& scene, int object);
float top_bottom_margin(const Scene& scene, int object);
float nearest_margin(const Scene& scene, int object);
float furthest_margin(const Scene& scene, int object);

}  // namespace sf::data
