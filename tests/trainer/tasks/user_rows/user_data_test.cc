#include "trainer/tasks/user_rows/user_data.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/base64.h"
#include "engine/base/error.h"
#include "engine/base/machine_fault.h"
#include "tests/support/encode_image.h"
#include "tests/support/no_free_files.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/canvas.h"
#include "trainer/tasks/sort_of_clevr/export_scenes.h"

namespace sf::data {
namespace {

class UserDataTest : public testing::Test {
 protected:
  UserDataTest() {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("user_data_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~UserDataTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file(const std::string& name, const std::string& content) {
    write_file(folder_ / name, content);
    return folder_ / name;
  }

  static std::string image(uint8_t shade = 9) { return encode_png(filled(20, 10, {shade, 0, 0})); }

  std::filesystem::path folder_;
};

TEST_F(UserDataTest, ReadsPathsBase64AndDataUris) {
  file("a.png", image());
  const auto path = file("rows.jsonl", R"({"image": "a.png", "question": "what is it?", "answer": "red"})"
                                       "\n\n"
                                       R"({"image": ")" +
                                           encode_base64(image(50)) +
                                           R"(", "question": "q", "answer": "a", "extra": [1]})"
                                           "\n"
                                           R"({"image": "data:image/png;base64,)" +
                                           encode_base64(image()) + R"(", "question": "second", "answer": "b"})");
  const UserData data = load_user_data(path, {});
  EXPECT_EQ(data.num_rows, 3);
  ASSERT_EQ(data.images.size(), 2u);  // the third row's image is the first's
  EXPECT_EQ(data.images[0].questions.size(), 2u);
  EXPECT_EQ(data.images[0].questions[0].text, "what is it?");
  EXPECT_EQ(data.images[0].questions[1].answer, "b");
  EXPECT_EQ(data.images[0].width, 20);
  EXPECT_EQ(data.images[0].height, 10);
  EXPECT_EQ(data.images[0].questions[0].kind, "");
}

TEST_F(UserDataTest, ReadsTheSplitAndTheKindOfARow) {
  file("a.png", image());
  std::string rows;
  for (const std::string& more : {std::string(R"("split": "eval", "kind": "sign")"), std::string(R"("split": "train")"),
                                  std::string(R"("split": "validation")"), std::string(R"("kind": 7)"),
                                  "\"kind\": \"" + std::string(65, 'k') + "\""}) {
    rows += R"({"image": "a.png", "question": "q", "answer": "a", )" + more + "}\n";
  }
  const auto path = file("rows.jsonl", rows);
  UserDataOptions three_bad;
  three_bad.max_bad_rows = 3;
  const UserData data = load_user_data(path, three_bad);
  ASSERT_EQ(data.images.size(), 1u);
  ASSERT_EQ(data.images[0].questions.size(), 2u);
  EXPECT_TRUE(data.images[0].questions[0].held_out);
  EXPECT_EQ(data.images[0].questions[0].kind, "sign");
  EXPECT_FALSE(data.images[0].questions[1].held_out);
  ASSERT_EQ(data.bad_rows.size(), 3u);
  EXPECT_EQ(data.bad_rows[0].reason, "split is neither train nor eval");
  EXPECT_EQ(data.bad_rows[1].reason, "kind is not a string");
  EXPECT_EQ(data.bad_rows[2].reason, "kind is longer than 64 bytes");
}

TEST_F(UserDataTest, BadRowsAreReportedByLineAndSkipped) {
  file("a.png", image());
  file("broken.png", image().substr(0, 40));
  file("picture.gif", "GIF89a");
  const std::string good = R"({"image": "a.png", "question": "q", "answer": "a"})";
  const auto path =
      file("rows.jsonl", good + "\n" + "{oops\n" + "[1, 2]\n" +
                             R"({"image": "a.png", "question": "q"})"
                             "\n" +
                             R"({"image": "a.png", "question": 7, "answer": "a"})"
                             "\n" +
                             R"({"image": "missing.png", "question": "q", "answer": "a"})"
                             "\n" +
                             R"({"image": "broken.png", "question": "q", "answer": "a"})"
                             "\n" +
                             R"({"image": "picture.gif", "question": "q", "answer": "a"})"
                             "\n" +
                             R"({"image": "!!!!", "question": "q", "answer": "a"})"
                             "\n" +
                             R"({"image": "a.png", "question": "", "answer": "a"})"
                             "\n" +
                             "{\"image\": \"a.png\", \"question\": \"\xff\", \"answer\": \"a\"}\n" + good + "\n");
  UserDataOptions options;
  options.max_bad_rows = 10;
  const UserData data = load_user_data(path, options);
  EXPECT_EQ(data.num_rows, 2);
  ASSERT_EQ(data.bad_rows.size(), 10u);
  for (size_t i = 0; i < data.bad_rows.size(); ++i) {
    EXPECT_EQ(data.bad_rows[i].line, static_cast<int>(i) + 2);
    EXPECT_FALSE(data.bad_rows[i].reason.empty());
    EXPECT_EQ(data.bad_rows[i].reason.find('\n'), std::string::npos);
  }
  options.max_bad_rows = 9;
  try {
    load_user_data(path, options);
    FAIL() << "ten bad rows were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("line 2: not valid JSON"), std::string::npos) << error.what();
  }
}

TEST_F(UserDataTest, CaptionsAreAnswersToDescribe) {
  const auto path =
      file("rows.csv", "image,caption\n" + encode_base64(image()) + ",\"a red, \"\"flat\"\" picture\nin two lines\"\n" +
                           encode_base64(image(80)) + ",plain\r\n");
  const UserData data = load_user_data(path, {});
  ASSERT_EQ(data.images.size(), 2u);
  EXPECT_EQ(data.images[0].questions[0].text, "describe the picture");
  EXPECT_EQ(data.images[0].questions[0].answer, "a red, \"flat\" picture\nin two lines");
  EXPECT_EQ(data.images[1].questions[0].answer, "plain");
}

TEST_F(UserDataTest, BadCsvRowsNameTheLineTheyBeginOn) {
  const auto path = file("rows.csv", encode_base64(image()) + ",\"two\nlines\"\n" + "only one field\n" +
                                         encode_base64(image()) + ",x,y\n" + "\"open" + std::string(3, '"') + ",z\n");
  UserDataOptions options;
  options.max_bad_rows = 5;
  const UserData data = load_user_data(path, options);
  EXPECT_EQ(data.num_rows, 1);
  ASSERT_EQ(data.bad_rows.size(), 3u);
  EXPECT_EQ(data.bad_rows[0].line, 3);
  EXPECT_EQ(data.bad_rows[1].line, 4);
  EXPECT_EQ(data.bad_rows[2].line, 5);
}

TEST_F(UserDataTest, RefusesOtherFilesAndEmptyOnes) {
  EXPECT_THROW(load_user_data(file("rows.txt", "x"), {}), Error);
  EXPECT_THROW(load_user_data(file("rows.jsonl", ""), {}), Error);
  EXPECT_THROW(load_user_data(folder_ / "missing.jsonl", {}), Error);
  std::filesystem::create_directories(folder_ / "folder.csv");
  EXPECT_THROW(load_user_data(folder_ / "folder.csv", {}), Error);
}

// A row left out for want of a descriptor would be missing from the training without a fault of its own.
TEST_F(UserDataTest, AFaultOfTheMachineIsNoBadRow) {
  file("a.png", "x");
  std::istringstream rows(R"({"image": "a.png", "question": "q?", "answer": "a"})");
  UserDataOptions options;
  options.max_bad_rows = 9;
  try {
    const NoFreeFiles full;
    read_user_data(rows, UserDataFormat::kJsonl, folder_, options);
    FAIL() << "the row was skipped";
  } catch (const MachineFault& error) {
    EXPECT_NE(std::string(error.what()).find("line 1: "), std::string::npos) << error.what();
  }
}

TEST_F(UserDataTest, ImagesOverTheLimitsAreBadRows) {
  UserDataOptions options;
  options.limits.max_pixels = 100;
  options.max_bad_rows = 1;
  file("big.png", image());
  file("small.png", encode_png(filled(5, 5, {})));
  const auto path = file("rows.jsonl", R"({"image": "big.png", "question": "q", "answer": "a"})"
                                       "\n"
                                       R"({"image": "small.png", "question": "q", "answer": "a"})");
  const UserData data = load_user_data(path, options);
  EXPECT_EQ(data.num_rows, 1);
  EXPECT_EQ(data.bad_rows.size(), 1u);
}

TEST_F(UserDataTest, WhatIsExportedCanBeRead) {
  ExportOptions options;
  options.count = 6;
  options.questions.count = 4;
  options.non_scene_fraction = 0.2f;
  export_scenes(folder_ / "out", options);
  const UserData data = load_user_data(folder_ / "out" / "data.jsonl", {});
  EXPECT_EQ(data.images.size(), 6u);
  EXPECT_EQ(data.num_rows, 24);
  const std::string first = read_file(folder_ / "out" / "data.jsonl", 1 << 20);
  export_scenes(folder_ / "again", options);
  EXPECT_EQ(read_file(folder_ / "again" / "data.jsonl", 1 << 20), first);
  EXPECT_EQ(read_file(folder_ / "again" / "000003.png", 1 << 24), read_file(folder_ / "out" / "000003.png", 1 << 24));
}

TEST(ExportTest, RowsKeepTheObjectsBoxes) {
  Question question;
  question.text = "what \"shape\"?";
  question.answer = "circle";
  const auto row = nlohmann::json::parse(jsonl_row("a.png", {100, 100, {{kGrey, kSquare, 50, 40, 5, 0}}}, question));
  EXPECT_EQ(row["question"], "what \"shape\"?");
  EXPECT_EQ(row["objects"][0]["colour"], "grey");
  EXPECT_EQ(row["objects"][0]["box"], (std::vector<float>{45, 35, 55, 45}));
}

TEST(ImageFileTest, EveryFormatDecodesAgain) {
  const Image image = filled(33, 17, {200, 30, 60});
  for (const std::string& bytes : {encode_png(image), test::encode_webp(image, 100)})
    EXPECT_EQ(decode_image(bytes).pixels, image.pixels);
  for (const std::string& bytes : {test::encode_jpeg(image, 90), test::encode_webp(image, 80)}) {
    const Image back = decode_image(bytes);
    EXPECT_EQ(back.width, 33);
    EXPECT_EQ(back.height, 17);
    EXPECT_NEAR(back.pixels[0], 200, 8);
  }
}

TEST(ImageFileTest, FilesThatCannotBeReadOrWrittenAreNamed) {
  EXPECT_THROW(write_file("/nonexistent/folder/a.png", "x"), Error);
  EXPECT_THROW(read_file("/nonexistent/a.png", 10), Error);
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "twelve.bin";
  write_file(path, std::string(12, 'x'));
  EXPECT_EQ(read_file(path, 12).size(), 12u);
  EXPECT_THROW(read_file(path, 11), Error);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace sf::data
