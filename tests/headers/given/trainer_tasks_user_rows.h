#pragma once

#include <cstdint>
#include <istream>
#include <string>

namespace sf::data::examples_trainer_tasks_user_rows {

extern std::istream& stream;
void warn(int64_t line, const std::string& reason);

}  // namespace sf::data::examples_trainer_tasks_user_rows

namespace sf::examples_trainer_tasks_user_rows {

void print_line(const std::string& line);

}  // namespace sf::examples_trainer_tasks_user_rows
