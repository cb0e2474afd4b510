#include "server/http/kserve_models_api.h"

#include "server/http/kserve_json.h"

namespace sf::server {
namespace {

constexpr const char* kJson = "application/json";

}  // namespace

KserveModelsApi::KserveModelsApi(const HttpOptions& options, Service& service, Listener& listener,
                                 const InferStatistics& statistics)
    : options_(options), service_(service), listener_(listener), statistics_(statistics) {}

void KserveModelsApi::register_routes() {
  listener_.get("/v2", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(infer_server_json(options_.program_version), kJson);
  });
  // Before the model's own route, which it meets as well.
  listener_.get("/v2/models/stats", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(infer_statistics_json(served_models(service_), statistics_), kJson);
  });
  get_model("", &KserveModelsApi::metadata);
  get_model("/config", &KserveModelsApi::config);
  get_model("/stats", &KserveModelsApi::statistics);
  get_model("/ready", &KserveModelsApi::readiness);
}

void KserveModelsApi::get_model(const std::string& suffix,
                                std::string (KserveModelsApi::*describe)(const ServedModel&) const) {
  for (const char* path : {"/v2/models/:model", "/v2/models/:model/versions/:version"}) {
    listener_.get(path + suffix, [this, describe](const httplib::Request& request, httplib::Response& response) {
      response.set_content((this->*describe)(served(request)), kJson);
    });
  }
}

ServedModel KserveModelsApi::served(const httplib::Request& request) const {
  const auto version = request.path_params.find("version");
  return find_served_model(service_, request.path_params.at("model"),
                           version == request.path_params.end() ? "" : version->second);
}

std::string KserveModelsApi::metadata(const ServedModel& model) const { return infer_model_json(model); }
std::string KserveModelsApi::config(const ServedModel& model) const { return infer_config_json(model); }
std::string KserveModelsApi::statistics(const ServedModel& model) const {
  return infer_statistics_json({model}, statistics_);
}

// Clients look at the status only.
std::string KserveModelsApi::readiness(const ServedModel&) const {
  if (!service_.health().ready) throw Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
  return R"({"ready": true})";
}

}  // namespace sf::server
