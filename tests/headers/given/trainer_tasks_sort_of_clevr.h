#pragma once

#include "trainer/task.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data::examples_trainer_tasks_sort_of_clevr {

extern Rng rng;
extern const uint64_t seed;
extern const int64_t step;
extern const Scene scene;
extern const Sample sample;
extern const SampleOptions options;
extern const QuestionMix mix;
extern Image image;
extern Canvas canvas;
extern const int row, column;
extern const float x, y, dot;
extern const Rgb colour;
void train(const std::string& question, const std::string& answer);
void score(const Question& question);

}  // namespace sf::data::examples_trainer_tasks_sort_of_clevr

namespace sf::examples_trainer_tasks_sort_of_clevr {

extern Examinee& model;

}  // namespace sf::examples_trainer_tasks_sort_of_clevr
