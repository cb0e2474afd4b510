#include "server/http/chat_choices.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "engine/base/error.h"
#include "server/wire/json_parse.h"
#include "server/wire/parameters.h"
#include "server/wire/unread_fields.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr const char* kSchemaNeeded =
    "a schema other than an enum of strings or integers, or an object with one property that is such an enum,";
constexpr int kMaxReferences = 8;

const json& require_object(const json& value, const std::string& field) {
  if (!value.is_object()) throw invalid_argument(field, field, ": must be an object, got ", value.type_name());
  return value;
}

std::vector<std::string> read_list(const json& value, const std::string& field) {
  if (!value.is_array()) throw invalid_argument(field, field, ": must be an array of strings");
  std::vector<std::string> texts;
  for (const json& item : value) {
    if (!item.is_string()) throw invalid_argument(field, field, ": must be an array of strings");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

// Errors: Unimplemented for a schema with any keyword but these: each would change what is valid.
void require_keywords(const json& schema, std::initializer_list<std::string_view> known, const std::string& field) {
  for (const auto& [keyword, value] : schema.items()) {
    if (std::find(known.begin(), known.end(), keyword) == known.end()) throw_not_offered(field, kSchemaNeeded);
  }
}

// What "#/$defs/NAME" stands for in `root`.
const json& resolved(const json& root, const json& schema, const std::string& field) {
  const json* found = &schema;
  for (int i = 0; found->is_object() && found->contains("$ref"); ++i) {
    const std::string name = found->at("$ref").is_string() ? found->at("$ref").get<std::string>() : "";
    const std::string_view prefix = "#/$defs/";
    const auto defs = root.find("$defs");
    if (i == kMaxReferences || !name.starts_with(prefix) || defs == root.end() || !defs->is_object() ||
        !defs->contains(name.substr(prefix.size()))) {
      throw_not_offered(field, kSchemaNeeded);
    }
    found = &defs->at(name.substr(prefix.size()));
  }
  return *found;
}

bool has_type(const json& value, const std::string& type) {
  return (type == "string" && value.is_string()) ||
         ((type == "integer" || type == "number") && value.is_number_integer());
}

// Effect: adds the values of an enum and, in `before` and `after`, the JSON that each is written as.
void add_enum(ChatChoices& choices, const json& schema, const std::string& before, const std::string& after) {
  require_keywords(schema, {"type", "enum", "title", "description", "$schema", "$defs"}, choices.field);
  const auto values = schema.find("enum");
  if (values == schema.end() || !values->is_array()) throw_not_offered(choices.field, kSchemaNeeded);
  for (const json& value : *values) {
    const std::string type = schema.contains("type") && schema["type"].is_string() ? schema["type"].get<std::string>()
                             : value.is_string()                                   ? "string"
                                                                                   : "integer";
    if (!has_type(value, type)) throw_not_offered(choices.field, kSchemaNeeded);
    choices.texts.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    choices.contents.push_back(before + value.dump() + after);
  }
}

ChatChoices choices_of_schema(const json& root, const std::string& field) {
  ChatChoices choices{.field = field, .texts = {}, .contents = {}};
  const json& schema = resolved(root, require_object(root, field), field);
  if (!schema.is_object()) throw_not_offered(field, kSchemaNeeded);
  const auto properties = schema.find("properties");
  if (properties == schema.end()) {
    add_enum(choices, schema, "", "");
    return choices;
  }
  require_keywords(
      schema, {"type", "properties", "required", "additionalProperties", "title", "description", "$schema", "$defs"},
      field);
  const bool object = schema.value("type", json("object")) == "object" && properties->is_object();
  if (!object || properties->size() != 1) throw_not_offered(field, kSchemaNeeded);
  const std::string name = properties->begin().key();
  const auto required = schema.find("required");
  const bool fits = required == schema.end() || *required == json::array({name}) || *required == json::array();
  const json& property = resolved(root, properties->front(), field);
  if (!fits || !property.is_object()) throw_not_offered(field, kSchemaNeeded);
  add_enum(choices, property, "{" + json(name).dump() + ": ", "}");
  return choices;
}

// OpenAI's: {"type": "text"}, or {"type": "json_schema", "json_schema": {"name", "strict", "schema"}}.
ChatChoices choices_of_format(const json& format, const std::string& field) {
  const std::string type = get_string(require_object(format, field), "type").value_or("");
  if (type == "text") return {};
  const json* const named = find_value(format, "json_schema");
  if (type != "json_schema" || named == nullptr || !named->is_object() || !find_value(*named, "schema")) {
    throw_not_offered(field, "a type other than \"text\", or \"json_schema\" with a schema that is an enum,");
  }
  return choices_of_schema(*find_value(*named, "schema"), field);
}

// vLLM's: one constraint, and how it is to be carried out.
ChatChoices choices_of_outputs(const json& outputs, const std::string& field) {
  ChatChoices choices;
  for (const auto& [name, value] : require_object(outputs, field).items()) {
    const std::string inner = field + "." + name.substr(0, 64);
    const bool option = name.starts_with("disable_") || name == "whitespace_pattern" || name.starts_with("_backend");
    if (value.is_null() || option) continue;
    if (name == "json_object" && value == false) continue;
    if (name != "choice" && name != "json") throw_not_offered(inner, "this constraint");
    if (!choices.field.empty()) throw invalid_argument(field, field, ": must hold one constraint");
    choices = name == "json" ? choices_of_schema(value, inner)
                             : ChatChoices{.field = inner, .texts = read_list(value, inner), .contents = {}};
  }
  return choices;
}

ChatChoices choices_of_field(const std::string& name, const json& value) {
  if (name == "structured_outputs") return choices_of_outputs(value, name);
  if (name == "response_format") return choices_of_format(value, name);
  if (name == "guided_json" || name == "json_schema") return choices_of_schema(value, name);
  return {.field = name, .texts = read_list(value, name), .contents = {}};
}

void check_texts(const ChatChoices& choices) {
  try {
    check_choices(choices.texts);
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.code(), choices.field + message.substr(message.find(':')), choices.field, error.reason());
  }
}

}  // namespace

std::string ChatChoices::content_of(const std::string& text) const {
  const auto found = std::find(texts.begin(), texts.end(), text);
  if (contents.empty() || found == texts.end()) return text;
  return contents[static_cast<size_t>(found - texts.begin())];
}

ChatChoices read_chat_choices(const json& body) {
  ChatChoices choices;
  for (const std::string name : kChoiceFields) {
    const json* const value = find_value(body, name);
    if (value == nullptr || (name == "json_schema" && value->empty())) continue;
    ChatChoices found = choices_of_field(name, *value);
    if (found.field.empty()) continue;
    if (!choices.field.empty()) {
      throw invalid_argument(name, name, ": the answer is already constrained by ", choices.field);
    }
    choices = std::move(found);
  }
  if (!choices.field.empty()) check_texts(choices);
  return choices;
}

}  // namespace sf::server
