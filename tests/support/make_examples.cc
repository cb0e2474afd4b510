// make_examples FOLDER: writes the images and questions.jsonl of examples/.
#include <cstdio>
#include <exception>

#include "tests/support/example_images.h"
#include "trainer/data/image_file.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_examples FOLDER\n");
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    const auto images = sf::test::example_images();
    for (const auto& image : images) sf::data::write_file(folder / image.file, image.bytes);
    sf::data::write_file(folder / "questions.jsonl", sf::test::example_questions(images));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_examples: %s\n", error.what());
    return 1;
  }
}
