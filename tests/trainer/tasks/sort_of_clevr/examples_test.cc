#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/example_images.h"
#include "tests/support/paths.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/user_rows/user_data.h"

namespace sf::data {
namespace {

const std::filesystem::path kExamples = std::filesystem::path(test::source_dir()) / "examples";

TEST(ExamplesTest, TheQuestionsAreThoseOfTheScenesDrawn) {
  EXPECT_EQ(read_file(kExamples / "questions.jsonl", 1 << 20), test::example_questions(test::example_images()))
      << "make_examples writes examples/ anew";
}

TEST(ExamplesTest, EveryImageShowsItsScene) {
  for (const test::ExampleImage& example : test::example_images()) {
    const Image image = decode_image(read_file(kExamples / example.file, 1 << 20));
    ASSERT_EQ(image.width, example.image.width) << example.file;
    ASSERT_EQ(image.height, example.image.height) << example.file;
    double difference = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i)
      difference += std::abs(int{image.pixels[i]} - int{example.image.pixels[i]});
    EXPECT_LT(difference / static_cast<double>(image.pixels.size()), 3) << example.file;  // what JPEG and WebP lose
  }
}

TEST(ExamplesTest, TheyLoadAsTrainingData) {
  const UserData data = load_user_data(kExamples / "questions.jsonl", {});
  EXPECT_GE(data.images.size(), 6u);
  std::set<std::string> answers;
  for (const UserImage& image : data.images) {
    for (const UserQuestion& question : image.questions) answers.insert(question.answer);
  }
  EXPECT_TRUE(answers.count(std::string(kRefusal)));
  EXPECT_GE(answers.size(), 15u);
}

TEST(ExamplesTest, SceneHasARedObject) {
  const test::ExampleImage scene = test::example_images().front();
  EXPECT_EQ(scene.file, "scene.png");
  EXPECT_EQ(scene.questions.front().text, "what shape is the red object?");
  EXPECT_EQ(scene.questions.front().answer, shape_word(scene.scene.objects.at(find_colour(scene.scene, kRed)).shape));
}

}  // namespace
}  // namespace sf::data
