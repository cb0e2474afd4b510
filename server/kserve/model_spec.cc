#include "server/kserve/model_spec.h"

namespace sf::server {

std::vector<ServedModel> served_models(const Service& service) {
  std::vector<ServedModel> served;
  for (const ModelDescription& model : service.models()) {
    served.push_back({model.id, false, model});
    served.push_back({model.id + kStreamSuffix, true, model});
  }
  return served;
}

ServedModel find_served_model(const Service& service, std::string_view name, std::string_view version) {
  const std::vector<ServedModel> served = served_models(service);
  if (served.empty()) throw Error(Code::kUnavailable, "no model is loaded", "", Reason::kDraining);
  for (const ServedModel& model : served) {
    if (model.name != name) continue;
    if (!version.empty() && version != model.version()) throw unknown_version(version, model.model.version);
    return model;
  }
  throw unknown_model(served[0].name, served[1].name);
}

Error unknown_model(const std::string& name, const std::string& stream) {
  return Error(Code::kNotFound, concat("model: unknown model; this server has ", name, " and ", stream), "model");
}

Error unknown_version(std::string_view version, int64_t served) {
  return Error(Code::kNotFound, concat("version: not served; this server has ", served, ", asked for ", version),
               "version");
}

}  // namespace sf::server
