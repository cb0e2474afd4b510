// The body of POST /v1/answer, JSON or multipart, as AnswerFields.
//
// Thread-safe: free functions.
#pragma once

#include <string>
#include <vector>

#include "server/http/body_reader.h"
#include "server/service/answer_fields.h"
#include "server/wire/image_source.h"
#include "server/wire/limits.h"

namespace sf::server {

// All thread-safe. Errors: InvalidArgument naming the field of a wrong type; those of check_unread_field for a name
// that is not known here.
AnswerFields read_answer_json(const nlohmann::json& body, const RequestLimits& limits, const FetchImage& fetch = {});
AnswerFields read_answer_form(std::vector<FormPart> parts, const RequestLimits& limits);

// Chooses by Content-Type. Errors: InvalidArgument/kUnsupportedType for any other; those of BodyReader.
AnswerFields read_answer_body(const httplib::Request& request, const httplib::ContentReader& reader,
                              const RequestLimits& limits, const BodyLimits& body_limits, const FetchImage& fetch = {});

}  // namespace sf::server
