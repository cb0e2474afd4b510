// A 3x5 bitmap font, enough to draw something that reads as text.
//
//   draw_word(canvas, "MOE 42", x, y, dot, colour);
//
// One thread at a time for a canvas or an Rng.
#pragma once

#include <string>
#include <string_view>

#include "trainer/tasks/sort_of_clevr/canvas.h"

namespace sf::data {

// Effect: draws A-Z and 0-9 with their top left corner at (x, y), each dot a square of side `dot`; other characters
// leave a gap. Returns the x behind the last letter.
float draw_word(Canvas& canvas, std::string_view word, float x, float y, float dot, Rgb colour);

// A word of capital letters or digits.
std::string random_word(Rng& rng);

}  // namespace sf::data
