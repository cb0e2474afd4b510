// The images of examples/ and the questions about them, true by construction.
//
//   for (const ExamplePicture& image : example_images()) write(image.file, image.bytes);
#pragma once

#include <string>
#include <vector>

#include "engine/image/image.h"
#include "trainer/tasks/sort_of_clevr/questions.h"

namespace sf::test {

struct ExampleImage {
  std::string file;   // "scene.png"
  data::Scene scene;  // no objects: an image that is no scene
  Image image;        // before encoding
  std::string bytes;  // encoded by the extension
  std::vector<data::Question> questions;
};

// Effect: the same list every time. No question is a close call: margins are at least 4 pixels of 75.
std::vector<ExampleImage> example_images();

// The lines of examples/questions.jsonl: {"image", "question", "answer"}.
std::string example_questions(const std::vector<ExampleImage>& images);

}  // namespace sf::test
