// What the Open Inference Protocol says of server and models over HTTP: GET /v2, /v2/models/{m}[/versions/{v}] with
// ready, config and stats, GET /v2/models/stats.
//
//   KserveModelsApi models(http_options, service, listener, statistics);
//   models.register_routes();
//
// Thread-safe once the routes are registered.
#pragma once

#include <string>

#include "server/http/http_server.h"
#include "server/http/listener.h"
#include "server/kserve/infer_statistics.h"
#include "server/kserve/model_spec.h"

namespace sf::server {

class KserveModelsApi {
 public:
  // REQUIRES: all outlive the listener's last request.
  KserveModelsApi(const HttpOptions& options, Service& service, Listener& listener, const InferStatistics& statistics);
  // Effect: adds the routes. REQUIRES: before listener.start().
  void register_routes();

 private:
  ServedModel served(const httplib::Request& request) const;
  // A GET of one model, with and without a version in the path.
  void get_model(const std::string& suffix, std::string (KserveModelsApi::*describe)(const ServedModel&) const);
  std::string metadata(const ServedModel& model) const;
  std::string config(const ServedModel& model) const;
  std::string statistics(const ServedModel& model) const;
  std::string readiness(const ServedModel& model) const;

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
  const InferStatistics& statistics_;
};

}  // namespace sf::server
