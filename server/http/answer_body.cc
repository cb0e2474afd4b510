#include "server/http/answer_body.h"

#include <algorithm>
#include <iterator>

#include "server/wire/base64.h"
#include "server/wire/json_parse.h"
#include "server/wire/routing_wire.h"
#include "server/wire/unread_fields.h"

namespace sf::server {
namespace {

using nlohmann::json;

// An empty list is an error of the list, not its absence.
std::optional<std::vector<std::string>> get_choices(const json& body) {
  const json* choices = find_value(body, "choices");
  if (choices == nullptr) return std::nullopt;
  if (!choices->is_array()) throw invalid_argument("choices", "choices: must be an array of strings");
  return get_strings(body, "choices");
}

bool set_explain_field(ExplainFields& fields, const std::string& name, std::string& value) {
  if (name == "method") {
    fields.method = std::move(value);
  } else if (name == "format") {
    fields.format = std::move(value);
  } else if (name == "layer") {
    fields.layer = parse_integer(value, name);
  } else if (name == "head") {
    fields.head = parse_integer(value, name);
  } else if (name == "lens_top") {
    fields.lens_top = parse_integer(value, name);
  } else if (name == "token") {
    fields.token = parse_integer(value, name);
  } else {
    return false;
  }
  return true;
}

// "record", or {"replay": {"layers": 3, "top_k": 2, "ids": base64}}: the `routing` of an earlier answer as it came.
void set_routing(AnswerFields& fields, const json& value) {
  if (value.is_null() || value == false) return;
  if (value == "record") {
    fields.record_routing = true;
    return;
  }
  const auto replay = value.is_object() ? value.find("replay") : value.end();
  if (!value.is_object() || replay == value.end() || !replay->is_object()) {
    throw invalid_argument("routing", "routing: must be \"record\" or {\"replay\": {\"layers\", \"top_k\", \"ids\"}}");
  }
  try {
    const std::string ids = get_string(*replay, "ids").value_or("");
    fields.replay_routing =
        routing_from_bytes(get_integer(*replay, "layers").value_or(0), get_integer(*replay, "top_k").value_or(0),
                           decode_base64(ids, ids.size(), "routing"));
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), "routing");  // its own fields are no fields of the request
  }
}

// One named form field into its place. Returns false for a name that is not known.
bool set_form_field(AnswerFields& fields, const std::string& name, std::string& value, const RequestLimits& limits) {
  if (name == "image") {
    fields.image = is_data_uri(value) ? decode_image_text(value, limits.max_image_bytes, name) : std::move(value);
  } else if (name == "question") {
    fields.question = std::move(value);
  } else if (name == "max_tokens") {
    fields.max_tokens = parse_integer(value, name);
  } else if (name == "temperature") {
    fields.temperature = parse_number(value, name);
  } else if (name == "top_p") {
    fields.top_p = parse_number(value, name);
  } else if (name == "top_k") {
    fields.top_k = parse_integer(value, name);
  } else if (name == "seed") {
    fields.seed = parse_unsigned(value, name);
  } else if (name == "priority") {
    fields.priority = std::move(value);
  } else if (name == "timeout_ms") {
    fields.timeout_ms = parse_integer(value, name);
  } else if (name == "model") {
    fields.model = std::move(value);
  } else if (name == "stream") {
    fields.stream = parse_bool(value, name);
  } else if (name == "explain") {
    fields.explained = parse_bool(value, name);
  } else if (name == "routing") {
    const bool object = value.starts_with('{');
    set_routing(fields, object ? parse_json_object(value, json_limits(limits)) : json(value));
  } else {
    return set_logit_parameter(fields.logits, name, value) || set_explain_field(fields.explain, name, value);
  }
  return true;
}

constexpr const char* kReadFields[] = {"image",    "question", "max_tokens", "temperature", "top_p",    "top_k",
                                       "seed",     "stop",     "choices",    "explain",     "priority", "timeout_ms",
                                       "model",    "stream",   "method",     "format",      "layer",    "head",
                                       "lens_top", "token",    "routing"};

void check_unread_fields(const json& body) {
  for (const auto& [name, value] : body.items()) {
    if (!is_one_of(kReadFields, name) && !is_one_of(kLogitFields, name)) check_unread_field(name, value);
  }
}

}  // namespace

AnswerFields read_answer_json(const json& body, const RequestLimits& limits, const FetchImage& fetch) {
  check_unread_fields(body);
  AnswerFields fields;
  if (const std::string* image = find_string(body, "image")) {
    fields.image = fetch && is_image_url(*image) ? fetch(*image, "image")
                                                 : decode_image_text(*image, limits.max_image_bytes, "image");
  }
  fields.question = get_string(body, "question");
  fields.max_tokens = get_integer(body, "max_tokens");
  fields.temperature = get_number(body, "temperature");
  fields.top_p = get_number(body, "top_p");
  fields.top_k = get_integer(body, "top_k");
  fields.seed = get_unsigned(body, "seed");
  fields.logits = read_logit_parameters(body);
  fields.stop = get_strings(body, "stop");
  fields.choices = get_choices(body);
  fields.explained = get_bool(body, "explain").value_or(false);
  fields.priority = get_string(body, "priority");
  fields.timeout_ms = get_integer(body, "timeout_ms");
  fields.model = get_string(body, "model").value_or("");
  fields.stream = get_bool(body, "stream").value_or(false);
  fields.explain = {.method = get_string(body, "method"),
                    .format = get_string(body, "format"),
                    .layer = get_integer(body, "layer"),
                    .head = get_integer(body, "head"),
                    .lens_top = get_integer(body, "lens_top"),
                    .token = get_integer(body, "token")};
  if (body.contains("routing")) set_routing(fields, body["routing"]);
  return fields;
}

AnswerFields read_answer_form(std::vector<FormPart> parts, const RequestLimits& limits) {
  AnswerFields fields;
  std::vector<std::string> seen;
  for (FormPart& part : parts) {
    if (part.name == "stop") {  // this field and the next may come several times
      fields.stop.push_back(std::move(part.content));
      continue;
    }
    if (part.name == "choices") {
      if (!fields.choices) fields.choices.emplace();
      fields.choices->push_back(std::move(part.content));
      continue;
    }
    if (std::find(seen.begin(), seen.end(), part.name) != seen.end()) {
      throw invalid_argument(part.name, part.name, ": given twice");
    }
    if (!set_form_field(fields, part.name, part.content, limits)) check_unread_form_field(part.name, part.content);
    seen.push_back(part.name);
  }
  return fields;
}

AnswerFields read_answer_body(const httplib::Request& request, const httplib::ContentReader& reader,
                              const RequestLimits& limits, const BodyLimits& body_limits, const FetchImage& fetch) {
  BodyReader body(body_limits, request, reader);
  AnswerFields fields;
  if (has_media_type(request, "application/json")) {
    fields = read_answer_json(body.read_json(json_limits(limits)), limits, fetch);
  } else if (has_media_type(request, "multipart/form-data")) {
    fields = read_answer_form(body.read_form(), limits);
  } else {
    throw Error(Code::kInvalidArgument, "Content-Type: must be application/json or multipart/form-data", "Content-Type",
                Reason::kUnsupportedType);
  }
  fields.body_bytes = body.num_bytes();
  return fields;
}

}  // namespace sf::server
