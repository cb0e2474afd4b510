#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/commands.h"
#include "client/load_generator.h"
#include "engine/base/base64.h"
#include "engine/base/error.h"

namespace sf::client {
namespace {

using nlohmann::json;

// An image's bytes: `value` is a path if such a file exists, else base64.
std::string read_image(const std::string& value, const std::filesystem::path& folder) {
  // Longer than any path: do not ask the file system about a megabyte of base64.
  if (value.size() < 4096) {
    const std::filesystem::path path = folder / value;
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error)) return read_file(path.string());
  }
  try {
    // Without its padding it would hardly differ from the name of a file that is not there.
    if (!value.empty() && value.size() % 4 == 0) return decode_base64(value, value.size(), "image");
  } catch (const Error&) {  // neither, as below
  }
  throw ClientError("NOT_FOUND", "image: neither a file nor base64: " + value.substr(0, 80));
}

Question read_question(const std::string& line, const std::filesystem::path& folder) {
  const json row = json::parse(line);
  Question question;
  question.image = read_image(row.at("image").get<std::string>(), folder);
  question.question = row.at("question").get<std::string>();
  if (row.contains("max_tokens")) question.max_tokens = row["max_tokens"].get<int>();
  return question;
}

}  // namespace

std::vector<Question> read_questions(const std::string& path) {
  std::istringstream lines(read_file(path));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::vector<Question> questions;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = path + ":" + std::to_string(number) + ": ";
    try {
      questions.push_back(read_question(line, folder));
    } catch (const ClientError& error) {
      throw ClientError(error.code(), where + error.what());
    } catch (const json::exception&) {
      throw ClientError("INVALID_ARGUMENT", where + "needs {\"image\": ..., \"question\": ...}");
    }
  }
  if (questions.empty()) throw ClientError("INVALID_ARGUMENT", path + ": no questions");
  return questions;
}

}  // namespace sf::client
