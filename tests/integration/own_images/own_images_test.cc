// What product.md promises to a user with images of their own: 150 of them, default flags, the bundled demo to start
// from. A version is published, a running server takes it, and it answers images that it never saw.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/base/file.h"
#include "engine/checkpoint/manifest.h"
#include "engine/image/image.h"
#include "tests/integration/live_server.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 96;
constexpr std::array<const char*, 4> kSigns = {"cross", "ring", "triangle", "bars"};
constexpr const char* kQuestion = "which sign is it?";

struct OwnImage {
  std::string file;  // PNG
  std::string sign;
};

// Whether the sign covers this place; it lies within -1..1.
bool covers(const std::string& sign, double x, double y) {
  const double radius = std::hypot(x, y), longer = std::max(std::abs(x), std::abs(y));
  if (sign == "cross") return longer < 1 && std::min(std::abs(x), std::abs(y)) < 0.3;
  if (sign == "ring") return radius > 0.55 && radius < 1;
  if (sign == "triangle") return std::abs(y) < 1 && std::abs(x) < (y + 1) / 2;
  return longer < 1 && static_cast<int>((y + 1) * 2.5) % 2 == 0;
}

// One dark sign, tilted a little, anywhere on a light ground that changes from top to bottom, with noise. Nothing of
// the demo's generator: neither its shapes nor its colours, and one large thing instead of six small ones.
OwnImage draw(std::mt19937& random) {
  const auto uniform = [&](double low, double high) { return low + (high - low) * (random() / 4294967296.0); };
  OwnImage own{{}, kSigns[random() % kSigns.size()]};
  std::array<double, 3> top{}, bottom{}, ink{};
  for (size_t c = 0; c < 3; ++c) {
    top[c] = uniform(120, 255);
    bottom[c] = uniform(120, 255);
    ink[c] = uniform(0, 110);
  }
  const double half = uniform(22, 38), tilt = uniform(-0.2, 0.2);
  const double cx = uniform(half, kSide - half), cy = uniform(half, kSide - half);
  Image image{kSide, kSide, std::vector<uint8_t>(size_t{3} * kSide * kSide)};
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const double dx = (x - cx) / half, dy = (y - cy) / half;
      const bool is_ink =
          covers(own.sign, dx * std::cos(tilt) - dy * std::sin(tilt), dx * std::sin(tilt) + dy * std::cos(tilt));
      for (size_t c = 0; c < 3; ++c) {
        const double ground = top[c] + (bottom[c] - top[c]) * y / kSide;
        const double value = (is_ink ? ink[c] : ground) + uniform(-8, 8);
        image.pixels[3 * (size_t(y) * kSide + size_t(x)) + c] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
  own.file = encode_png(image);
  return own;
}

// Two rows an image, the second with yes or no. Returns the .jsonl file.
fs::path write_rows(const fs::path& folder, int count) {
  std::mt19937 random(1);
  std::string rows;
  const auto row = [&](const std::string& file, const std::string& question, const std::string& answer) {
    rows += nlohmann::json{{"image", file}, {"question", question}, {"answer", answer}}.dump() + "\n";
  };
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i) {
    const OwnImage own = draw(random);
    const std::string name = "photo" + std::to_string(i) + ".png";
    write_file(folder / name, own.file);
    row(name, kQuestion, own.sign);
    const std::string asked = random() % 2 == 0 ? own.sign : kSigns[random() % kSigns.size()];
    row(name, "is it a " + asked + "?", asked == own.sign ? "yes" : "no");
  }
  write_file(folder / "mine.jsonl", rows);
  return folder / "mine.jsonl";
}

// The share of new images whose sign the server names.
double share_right(const LiveServer& server, int count) {
  std::mt19937 random(2);
  int right = 0;
  for (int i = 0; i < count; ++i) {
    const OwnImage own = draw(random);
    client::Question question;
    question.image = own.file;
    question.question = kQuestion;
    right += server.rest()->ask(question).answer == own.sign;
  }
  return double(right) / count;
}

TEST(OwnImagesTest, AreTrainedOnPublishedAndServed) {
  const ScratchFolder folder("own_images");
  const fs::path demo = fs::path(source_dir()) / "models/demo", store = folder.path() / "store";
  fs::create_directories(store);
  fs::copy(demo, store / "1");
  const fs::path rows = write_rows(folder.path() / "mine", 150);
  const LiveServer server(folder.path(), store);
  EXPECT_EQ(server.version(), 1);
  EXPECT_EQ(share_right(server, 10), 0) << "the demo has other words";

  Process trainer(
      {binary("sparsefusion-train"), "--data", rows.string(), "--init", demo.string(), "--out", store.string()},
      folder.path() / "train");
  ASSERT_EQ(trainer.wait(900), 0) << trainer.error_output();
  const std::string said = trainer.error_output();
  EXPECT_NE(said.find("32 rows of 16 images held out"), std::string::npos) << said;
  const std::string last = said.substr(said.rfind('\n', said.size() - 2) + 1);
  EXPECT_EQ(last.find("published version 2"), 0u) << last;

  ASSERT_TRUE(wait_until([&] { return server.version() == 2; })) << server.log();
  EXPECT_GE(share_right(server, 40), 0.8);
  // The score of the rows is not the demo's of circles and squares: said, and not compared.
  EXPECT_NE(server.log().find("different evaluations"), std::string::npos) << server.log();
  const Manifest manifest = parse_manifest(read_file(store / "2" / kManifestName, 1 << 20));
  EXPECT_GE(manifest.scores.at("score"), 0.8);
  EXPECT_EQ(manifest.evaluation_id.size(), 64u);
}

}  // namespace
}  // namespace sf::test
