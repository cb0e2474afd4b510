// Shared by the painters of images that are no scenes. One thread at a time for a sheet.
#pragma once

#include "engine/image/image.h"
#include "trainer/data/rng.h"
#include "trainer/tasks/sort_of_clevr/canvas.h"

namespace sf::data {

// The image, its size as floats, and what it is drawn on.
struct Sheet {
  Image image;
  Rng& rng;
  float width, height, short_side;
  Rgb ground;
  bool antialias;
};

Rgb any_colour(Rng& rng);           // often one of the scenes' six
Rgb visible(Rng& rng, Rgb ground);  // a colour that can be seen on `ground`
Point any_point(Sheet& sheet);

// Effect: draws into the sheet.
void paint_text(Sheet& sheet);
void paint_bar_chart(Sheet& sheet);
void paint_line_chart(Sheet& sheet);
void paint_pie_chart(Sheet& sheet);

}  // namespace sf::data
