#include "trainer/tasks/sort_of_clevr/renderer.h"

#include <turbojpeg.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/opencv_image.h"

namespace sf::data {
namespace {

uint8_t clamp_byte(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

void fill_gradient(Image& image, const Style& style) {
  const float width = static_cast<float>(image.width), height = static_cast<float>(image.height);
  const float c = std::cos(style.ground_angle), s = std::sin(style.ground_angle);
  const float reach = (std::abs(c) * width + std::abs(s) * height) / 2;
  const float diagonal = std::sqrt(width * width + height * height) / 2;
  uint8_t* pixel = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    const float dy = static_cast<float>(y) + 0.5f - height / 2;
    for (int x = 0; x < image.width; ++x, pixel += 3) {
      const float dx = static_cast<float>(x) + 0.5f - width / 2;
      const float t = style.ground == Style::Ground::kRadial ? std::sqrt(dx * dx + dy * dy) / diagonal
                                                             : ((c * dx + s * dy) / reach + 1) / 2;
      const Rgb colour = mix(style.background, style.background2, std::clamp(t, 0.f, 1.f));
      pixel[0] = colour.r, pixel[1] = colour.g, pixel[2] = colour.b;
    }
  }
}

// Bilinear value noise, the same on all channels.
void add_texture(Image& image, float amplitude, float cell, Rng& rng) {
  cv::Mat1f knots(static_cast<int>(static_cast<float>(image.height) / cell) + 2,
                  static_cast<int>(static_cast<float>(image.width) / cell) + 2);
  for (float& knot : knots) knot = rng.uniform(-amplitude, amplitude);
  cv::Mat1s offset;
  interpolate(knots, {cell, cell}, {image.width, image.height}).convertTo(offset, CV_16S);
  cv::Mat3s offsets;
  cv::merge(std::vector<cv::Mat>(3, offset), offsets);
  cv::add(pixels_of(image), offsets, pixels_of(image), cv::noArray(), CV_8U);
}

void draw_object(Canvas& canvas, const Object& object, const Style& style) {
  const auto draw = [&](float half, Rgb colour) {
    if (object.shape == kCircle) {
      canvas.disc(object.x, object.y, half, colour);
    } else {
      canvas.box(object.x, object.y, half, half, object.angle, colour);
    }
  };
  const Rgb fill = style.colours[object.colour];
  if (style.outline <= 0) return draw(object.half, fill);
  const float width = std::min(object.half * 0.3f, std::max(1.f, style.outline * object.half));
  draw(object.half, style.outline_colour);
  draw(object.half - width, fill);
}

}  // namespace

void add_noise(Image& image, float amplitude, Rng& rng) {
  const int scale = static_cast<int>(amplitude * 2);
  if (scale <= 0) return;
  uint64_t bits = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i, bits >>= 8) {
    if (i % 8 == 0) bits = rng.next();
    const int offset = (static_cast<int>(bits & 0xff) * 2 - 255) * scale / 512;
    image.pixels[i] = clamp_byte(image.pixels[i] + offset);
  }
}

void blur(Image& image, float weight) {
  const float side = std::floor(std::clamp(weight, 0.f, 1.f) * 64) / 256;  // exact in fixed point
  const cv::Vec3f kernel(side, 1 - 2 * side, side);
  cv::sepFilter2D(pixels_of(image), pixels_of(image), -1, kernel, kernel);
}

Image jpeg_round_trip(const Image& image, int quality, bool subsample) {
  const std::unique_ptr<void, int (*)(tjhandle)> encoder(tjInitCompress(), tjDestroy);
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), tjDestroy);
  SF_CHECK(encoder && decoder, "jpeg: no codec");
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int encoded = tjCompress2(encoder.get(), image.pixels.data(), image.width, 0, image.height, TJPF_RGB, &bytes,
                                  &size, subsample ? TJSAMP_420 : TJSAMP_444, quality, 0);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(bytes, tjFree);
  SF_CHECK(encoded == 0, "jpeg: encoding failed: ", tjGetErrorStr2(encoder.get()));
  Image result{image.width, image.height, std::vector<uint8_t>(image.pixels.size())};
  const int decoded =
      tjDecompress2(decoder.get(), bytes, size, result.pixels.data(), image.width, 0, image.height, TJPF_RGB, 0);
  SF_CHECK(decoded == 0, "jpeg: decoding failed: ", tjGetErrorStr2(decoder.get()));
  return result;
}

Image render(const Scene& scene, const Style& style, Rng& rng) {
  Image image = filled(scene.width, scene.height, style.background);
  if (style.ground != Style::Ground::kSolid) fill_gradient(image, style);
  if (style.texture > 0) add_texture(image, style.texture, std::max(2.f, style.texture_cell), rng);
  Canvas canvas(image, style.antialias);
  for (const Object& object : scene.objects) draw_object(canvas, object, style);
  if (style.blur > 0) blur(image, style.blur);
  if (style.noise > 0) add_noise(image, style.noise, rng);
  if (style.jpeg_quality > 0) return jpeg_round_trip(image, style.jpeg_quality, rng.chance(0.6f));
  return image;
}

}  // namespace sf::data
