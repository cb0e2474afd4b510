// Between the wire's messages and the service's structs.
//
// Pure functions.
#pragma once

#include <string>

#include "server/service/answer_fields.h"
#include "sparsefusion/v1/vqa.pb.h"

namespace sf::server {

// Errors: InvalidArgument for an unknown priority. Ranges are checked by make_answer_request.
AnswerFields answer_fields_from(sparsefusion::v1::AnswerRequest& message);

sparsefusion::v1::AnswerResponse answer_message(const std::string& id, const std::string& model, int64_t model_version,
                                                const std::string& text, const Summary& summary);

}  // namespace sf::server
