#pragma once

#include "trainer/data/questions.h"
#include "trainer/data/sample.h"
#include "trainer/data/user_data.h"

namespace sf::data::examples_trainer_data {

extern Rng rng;
extern const uint64_t seed, batch_index;
extern const int64_t step;
extern const Scene scene;
extern const Sample sample;
extern const SampleOptions options;
extern const QuestionMix mix;
extern Image image;
extern std::istream& stream;
extern Canvas canvas;
extern const int row, column;
extern const float x, y, dot;
extern const Rgb colour;
void train(const std::string& question, const std::string& answer);
void score(const Question& question);
void warn(int64_t line, const std::string& reason);

}  // namespace sf::data::examples_trainer_data
