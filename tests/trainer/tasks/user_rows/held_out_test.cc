#include "trainer/tasks/user_rows/held_out.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/base/error.h"

namespace sf::data {
namespace {

UserImage image_of(int number, int rows, bool held_out = false) {
  UserImage image{"bytes of " + std::to_string(number), 8, 8, {}};
  for (int i = 0; i < rows; ++i) image.questions.push_back({"q" + std::to_string(i), "a", "", held_out});
  return image;
}

UserData images_of(int count, int rows) {
  UserData data;
  for (int i = 0; i < count; ++i) data.images.push_back(image_of(i, rows));
  return data;
}

std::set<std::string> names(const std::vector<UserImage>& images) {
  std::set<std::string> names;
  for (const UserImage& image : images) names.insert(image.bytes);
  return names;
}

TEST(HeldOutTest, AtLeast32RowsAreHeldOutAndNoImageIsOnBothSides) {
  const HeldOutSplit split = split_rows(images_of(150, 2), nullptr, 0.05);
  EXPECT_EQ(split.held_out_rows, 32);
  EXPECT_EQ(split.training_rows, 268);
  EXPECT_EQ(split.dropped_rows, 0);
  const auto training = names(split.training), held_out = names(split.held_out);
  EXPECT_EQ(training.size() + held_out.size(), 150u);
  for (const std::string& name : held_out) EXPECT_FALSE(training.contains(name));
}

TEST(HeldOutTest, AtMostAFifthIsHeldOutAndTheFractionCountsAboveThat) {
  EXPECT_EQ(split_rows(images_of(100, 1), nullptr, 0.05).held_out_rows, 20);
  EXPECT_EQ(split_rows(images_of(2000, 1), nullptr, 0.05).held_out_rows, 100);
  EXPECT_EQ(split_rows(images_of(3, 1), nullptr, 0.05).held_out_rows, 1) << "one image at least";
}

TEST(HeldOutTest, TheChoiceIsByTheImagesBytesNotByTheirOrder) {
  UserData data = images_of(200, 1), turned = images_of(200, 1), grown = images_of(210, 1);
  std::reverse(turned.images.begin(), turned.images.end());
  const auto chosen = names(split_rows(std::move(data), nullptr, 0.05).held_out);
  EXPECT_EQ(names(split_rows(std::move(turned), nullptr, 0.05).held_out), chosen);
  int kept = 0;
  for (const std::string& name : names(split_rows(std::move(grown), nullptr, 0.05).held_out))
    kept += chosen.contains(name);
  EXPECT_GE(kept, 28) << "of 32";
}

TEST(HeldOutTest, RowsMarkedEvalAreTheHeldOutPart) {
  UserData data = images_of(5, 2);
  data.images.push_back(image_of(100, 3, true));
  data.images.push_back(image_of(101, 1, true));
  data.images.back().questions.push_back({"to train on", "a"});
  const HeldOutSplit split = split_rows(std::move(data), nullptr, 0.05);
  EXPECT_EQ(names(split.held_out), (std::set<std::string>{"bytes of 100", "bytes of 101"}));
  EXPECT_EQ(split.held_out_rows, 4);
  EXPECT_EQ(split.training_rows, 10);
  EXPECT_EQ(split.dropped_rows, 1) << "its image is held out";
}

TEST(HeldOutTest, AFileOfHeldOutRowsTakesItsImagesFromTheOther) {
  UserData data = images_of(5, 2);
  data.images.push_back(image_of(100, 3, true));
  UserData evaluation;
  evaluation.images = {image_of(4, 1), image_of(200, 1)};
  const HeldOutSplit split = split_rows(std::move(data), &evaluation, 0.05);
  EXPECT_EQ(names(split.held_out), (std::set<std::string>{"bytes of 4", "bytes of 200"}));
  EXPECT_EQ(split.training_rows, 8);
  EXPECT_EQ(split.dropped_rows, 5);
}

TEST(HeldOutTest, NothingLeftToTrainOnIsAnError) {
  UserData marked;
  marked.images = {image_of(1, 2, true)};
  for (UserData data : {images_of(1, 4), marked}) {
    try {
      split_rows(std::move(data), nullptr, 0.05);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "data");
      EXPECT_NE(std::string(error.what()).find("--eval-data"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace sf::data
