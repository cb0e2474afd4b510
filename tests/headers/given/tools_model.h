#pragma once

#include "engine/engine.h"
#include "tools/model/offline_runner.h"
#include "trainer/tasks/sort_of_clevr/questions.h"

namespace sf::examples_tools_model {

extern Engine* const engine;
extern const int layers, experts;
extern const Explanation explanation;
extern const data::Scene scene;
extern const data::Question question;
extern const std::vector<OfflineRequest> requests;

}  // namespace sf::examples_tools_model
