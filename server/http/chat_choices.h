// A chat answer that is one of given strings (guided choice), in the spellings of this server, vLLM and OpenAI:
//
//     {"choices": ["circle", "square"]}                       the answer as it stands
//     {"guided_choice": [...]}, {"structured_outputs": {"choice": [...]}}
//     {"response_format": {"type": "json_schema", "json_schema": {"schema": S}}}
//     {"structured_outputs": {"json": S}}, {"guided_json": S}, {"json_schema": S}
//
// where S is a JSON schema of an enum of strings or integers, or of an object with one property that is such an enum.
// The model chooses among the enum's values; the content is JSON then: "circle" in quotes, or {"shape": "circle"}. What
// else the same fields can ask for is refused by its name.
//
//   const ChatChoices choices = read_chat_choices(body);
//   if (!choices.texts.empty()) use(choices.content_of(choices.texts[0]));
//
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace sf::server {

struct ChatChoices {
  std::string field;                  // that asked for them, as errors name it; empty: none did
  std::vector<std::string> texts;     // what the model chooses from
  std::vector<std::string> contents;  // beside texts: what each is written as; empty: as it stands

  // The message's content where the model chose `text`.
  std::string content_of(const std::string& text) const;
};

// The fields of a chat body that it reads.
inline constexpr const char* kChoiceFields[] = {"choices",     "guided_choice",   "guided_json",
                                                "json_schema", "response_format", "structured_outputs"};

// Errors: InvalidArgument, and Unimplemented for a constraint that is not offered, naming the field.
ChatChoices read_chat_choices(const nlohmann::json& body);

}  // namespace sf::server
