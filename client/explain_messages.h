// VisualQuestionAnswering.Explain's messages as the client's structs. Pure functions.
#pragma once

#include "client/client.h"
#include "sparsefusion/v1/vqa.pb.h"

namespace sf::client {

// Effect: sets everything but the question. Errors: ClientError INVALID_ARGUMENT for a method without a number.
void set_explain_options(const ExplainQuestion& question, sparsefusion::v1::ExplainRequest& message);
Explained explained_of(const sparsefusion::v1::ExplainResponse& message);

}  // namespace sf::client
