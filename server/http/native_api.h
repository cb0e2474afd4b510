// POST /v1/answer and /v1/explain, GET /v1/models and GET /v1/models/{id}: translation only, the service decides.
//
//   NativeApi native(http_options, service, listener);
//   native.register_routes();
//
// Thread-safe.
#pragma once

#include "server/http/answer_handler.h"
#include "server/http/listener.h"
#include "server/service/answer_fields.h"

namespace sf::server {

class NativeApi {
 public:
  // REQUIRES: all three outlive the listener's last request.
  NativeApi(const HttpOptions& options, Service& service, Listener& listener);
  // Effect: adds the routes. REQUIRES: before listener.start().
  void register_routes();

 private:
  void answer(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader);
  void explain(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader);
  PreparedAnswer prepare(const httplib::Request& request, const httplib::ContentReader& reader, const HttpCall& call,
                         const IsUnwanted& is_unwanted);
  AnswerFields read_fields(const httplib::Request& request, const httplib::ContentReader& reader) const;
  void model(const httplib::Request& request, httplib::Response& response);

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
  AnswerHandler handler_;
};

}  // namespace sf::server
