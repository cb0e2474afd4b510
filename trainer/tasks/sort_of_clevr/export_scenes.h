// Generated scenes as files: images and a questions file that load_user_data reads back.
//
//   export_scenes("scenes", {.count = 100, .seed = 7});
//
// One thread at a time for a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "trainer/tasks/sort_of_clevr/questions.h"

namespace sf::data {

struct ExportOptions {
  int count = 100;
  uint64_t seed = 1;
  bool augment = true;
  int min_objects = 1;
  int max_objects = 6;
  float non_scene_fraction = 0;
  QuestionMix questions;
};

// Effect: writes FOLDER/NNNNNN.png and FOLDER/data.jsonl: a line for each question with `image`, `question`, `answer`,
// `kind` and `objects` [{colour, shape, box: [left, top, right, bottom]}] in pixels. Makes the folder. Scene i is a
// function of (seed, i). Errors: Unavailable if a file cannot be written.
void export_scenes(const std::filesystem::path& folder, const ExportOptions& options);

// One line of data.jsonl, without the line break.
std::string jsonl_row(const std::string& image, const Scene& scene, const Question& question);

}  // namespace sf::data
