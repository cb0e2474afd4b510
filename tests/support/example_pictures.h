// The pictures of examples/ and the questions about them, true by construction.
//
//   for (const ExamplePicture& picture : example_pictures()) write(picture.file, picture.bytes);
#pragma once

#include <string>
#include <vector>

#include "engine/input/image.h"
#include "trainer/data/questions.h"

namespace sf::test {

struct ExamplePicture {
  std::string file;   // "scene.png"
  data::Scene scene;  // no objects: a picture that is no scene
  Image image;        // before encoding
  std::string bytes;  // encoded by the extension
  std::vector<data::Question> questions;
};

// Effect: the same list every time. No question is a close call: margins are at least 4 pixels of 75.
std::vector<ExamplePicture> example_pictures();

// The lines of examples/questions.jsonl: {"image", "question", "answer"}.
std::string example_questions(const std::vector<ExamplePicture>& pictures);

}  // namespace sf::test
