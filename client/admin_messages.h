// sparsefusion.v1.ModelAdmin's messages as the client's structs. Pure functions.
#pragma once

#include <vector>

#include "client/client.h"
#include "sparsefusion/v1/admin.pb.h"

namespace sf::client {

std::vector<ModelVersion> versions_of(const sparsefusion::v1::ListVersionsResponse& message);
ExpertTable experts_of(const sparsefusion::v1::ExpertStatsResponse& message);

}  // namespace sf::client
