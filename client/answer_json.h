// The REST API's objects as the client's structs. Pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "client/client.h"

namespace sf::client {

// Errors: ClientError INTERNAL if it is not an answer object.
Answer answer_from(const nlohmann::json& object);

// The object of POST /v1/explain. Errors: likewise.
Explained explained_from(const nlohmann::json& object);

// The bodies of GET /v1/versions and /v1/experts. Errors: ClientError INTERNAL if they are not.
std::vector<ModelVersion> versions_from(const nlohmann::json& list);
ExpertTable experts_from(const nlohmann::json& object);

// An error object ({"error": {"message", "code"}} or {"error": "..."}) with its status, as what the client throws.
// `retry_after` is the header's value in seconds, empty if there is none; a date is not read.
ClientError error_from(const std::string& body, int http_status, const std::string& retry_after = {});

}  // namespace sf::client
