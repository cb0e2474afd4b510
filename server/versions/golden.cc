#include "server/versions/golden.h"

#include <utility>

#include "engine/base/error.h"
#include "server/wire/base64.h"
#include "server/wire/json_parse.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr int kMaxDepth = 8;
constexpr size_t kMaxImageBytes = 10 << 20;
constexpr const char* kFile = "golden.json";

Error broken(const std::string& what) { return Error(Code::kDataLoss, concat(kFile, ": ", what), kFile); }

const json& array_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) throw broken(concat(name, " is no array"));
  return *found;
}

std::string text_of(const json& object, const char* name) {
  const std::optional<std::string> text = get_string(object, name);
  if (!text || text->empty()) throw broken(concat(name, " is missing or empty"));
  return *text;
}

GoldenImage read_image(const json& row) {
  if (!row.is_object()) throw broken("a case is no object");
  GoldenImage image;
  image.image = decode_base64(text_of(row, "image"), kMaxImageBytes, "image");
  for (const json& entry : array_of(row, "questions")) {
    if (!entry.is_object()) throw broken("a question is no object");
    GoldenQuestion question{text_of(entry, "question"), text_of(entry, "answer")};
    if (get_number(entry, "margin").value_or(kMinGoldenMargin) <= kMinGoldenMargin) continue;
    image.questions.push_back(std::move(question));
  }
  return image;
}

std::vector<GoldenImage> read_cases(std::string_view text) {
  const json body = parse_json_object(text, JsonLimits{.max_depth = kMaxDepth});
  const std::optional<int64_t> format = get_integer(body, "format_version");
  if (!format || *format < 1) throw broken("format_version is missing");
  if (*format > kFormatVersion) {
    throw Error(Code::kFailedPrecondition,
                concat(kFile, ": format_version is newer than this program knows, ", *format), kFile);
  }
  std::vector<GoldenImage> images;
  size_t num_questions = 0;
  for (const json& row : array_of(body, "cases")) {
    GoldenImage image = read_image(row);
    if (image.questions.empty()) continue;
    num_questions += image.questions.size();
    if (num_questions > kMaxGoldenQuestions) throw broken(concat("more than ", kMaxGoldenQuestions, " questions"));
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace

std::vector<GoldenImage> parse_golden(std::string_view text) {
  try {
    return read_cases(text);
  } catch (const Error& error) {
    // The parsers below speak of a request's fields.
    if (error.field() == kFile) throw;
    throw broken(error.what());
  }
}

}  // namespace sf::server
