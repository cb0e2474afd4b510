// Between the wire's explain messages and the service's structs.
//
// Pure functions.
#pragma once

#include <string>

#include "server/service/explain_fields.h"
#include "sparsefusion/v1/vqa.pb.h"

namespace sf::server {

// Errors: InvalidArgument for an unknown method or priority. Ranges are checked by make_explain_request.
AnswerFields explain_fields_from(sparsefusion::v1::ExplainRequest& message);

sparsefusion::v1::ExplainResponse explain_message(const std::string& id, const ExplainResult& result);

}  // namespace sf::server
