#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/example_pictures.h"
#include "tests/support/paths.h"
#include "trainer/data/image_file.h"
#include "trainer/data/user_data.h"

namespace sf::data {
namespace {

const std::filesystem::path kExamples = std::filesystem::path(test::source_dir()) / "examples";

TEST(ExamplesTest, TheQuestionsAreThoseOfTheScenesDrawn) {
  EXPECT_EQ(read_file(kExamples / "questions.jsonl", 1 << 20), test::example_questions(test::example_pictures()))
      << "make_examples writes examples/ anew";
}

TEST(ExamplesTest, EveryPictureShowsItsScene) {
  for (const test::ExamplePicture& picture : test::example_pictures()) {
    const Image image = decode_image(read_file(kExamples / picture.file, 1 << 20));
    ASSERT_EQ(image.width, picture.image.width) << picture.file;
    ASSERT_EQ(image.height, picture.image.height) << picture.file;
    double difference = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i)
      difference += std::abs(int{image.pixels[i]} - int{picture.image.pixels[i]});
    EXPECT_LT(difference / static_cast<double>(image.pixels.size()), 3) << picture.file;  // what JPEG and WebP lose
  }
}

TEST(ExamplesTest, TheyLoadAsTrainingData) {
  const UserData data = load_user_data(kExamples / "questions.jsonl", {});
  EXPECT_GE(data.pictures.size(), 6u);
  std::set<std::string> answers;
  for (const UserPicture& picture : data.pictures) {
    for (const Question& question : picture.questions) answers.insert(question.answer);
  }
  EXPECT_TRUE(answers.count(std::string(kRefusal)));
  EXPECT_GE(answers.size(), 15u);
}

TEST(ExamplesTest, SceneHasARedObject) {
  const test::ExamplePicture scene = test::example_pictures().front();
  EXPECT_EQ(scene.file, "scene.png");
  EXPECT_EQ(scene.questions.front().text, "what shape is the red object?");
  EXPECT_EQ(scene.questions.front().answer, shape_word(scene.scene.objects.at(find_colour(scene.scene, kRed)).shape));
}

}  // namespace
}  // namespace sf::data
