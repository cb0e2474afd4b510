// POST /v2/models/{m}[/versions/{v}]/infer, /generate and /generate_stream: translation only, the service decides.
//
//   KserveInferApi infer(http_options, service, listener, statistics);
//   infer.register_routes();
//
// Thread-safe.
#pragma once

#include <string>

#include "server/http/answer_handler.h"
#include "server/http/kserve_request.h"
#include "server/http/listener.h"
#include "server/kserve/infer_statistics.h"

namespace sf::server {

class KserveInferApi {
 public:
  // REQUIRES: all outlive the listener's last request.
  KserveInferApi(const HttpOptions& options, Service& service, Listener& listener, InferStatistics& statistics);
  // Effect: adds the routes. REQUIRES: before listener.start().
  void register_routes();

 private:
  enum class Kind { kInfer, kGenerate, kGenerateStream };
  struct Asked {
    HttpInfer infer;
    ServedModel model;
    std::string version;  // "" = any
  };

  Asked read(Kind kind, const httplib::Request& request, const httplib::ContentReader& reader) const;
  PreparedAnswer prepare(Kind kind, const httplib::Request& request, const httplib::ContentReader& reader,
                         const HttpCall& call, const IsUnwanted& is_unwanted);

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
  InferStatistics& statistics_;
  AnswerHandler handler_;
};

}  // namespace sf::server
