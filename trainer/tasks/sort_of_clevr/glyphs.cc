#include "trainer/tasks/sort_of_clevr/glyphs.h"

#include <array>

namespace sf::data {
namespace {

// Five rows of three dots, top row in the highest bits.
constexpr std::array<uint16_t, 36> kGlyphs = {
    0b010101111101101, 0b110101110101110, 0b011100100100011, 0b110101101101110, 0b111100110100111, 0b111100110100100,
    0b011100101101011, 0b101101111101101, 0b111010010010111, 0b001001001101010, 0b101101110101101, 0b100100100100111,
    0b101111111101101, 0b110101101101101, 0b010101101101010, 0b110101110100100, 0b010101101111011, 0b110101110101101,
    0b011100010001110, 0b111010010010010, 0b101101101101111, 0b101101101101010, 0b101101111111101, 0b101101010101101,
    0b101101010010010, 0b111001010100111, 0b111101101101111, 0b010110010010111, 0b110001010100111, 0b110001010001110,
    0b101101111001001, 0b111100110001110, 0b011100111101111, 0b111001010010010, 0b111101111101111, 0b111101111001110,
};

int glyph_index(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= '0' && c <= '9') return 26 + c - '0';
  return -1;
}

}  // namespace

float draw_word(Canvas& canvas, std::string_view word, float x, float y, float dot, Rgb colour) {
  for (const char c : word) {
    if (const int index = glyph_index(c); index >= 0) {
      for (int bit = 0; bit < 15; ++bit) {
        if ((kGlyphs[index] >> (14 - bit) & 1) == 0) continue;
        canvas.box(x + (static_cast<float>(bit % 3) + 0.5f) * dot, y + (static_cast<float>(bit / 3) + 0.5f) * dot,
                   dot / 2, dot / 2, 0, colour);
      }
    }
    x += 4 * dot;
  }
  return x;
}

std::string random_word(Rng& rng) {
  std::string word(static_cast<size_t>(rng.range(1, 9)), 'A');
  const bool digits = rng.chance(0.15f);
  for (char& c : word) c = digits ? static_cast<char>('0' + rng.below(10)) : static_cast<char>('A' + rng.below(26));
  return word;
}

}  // namespace sf::data
