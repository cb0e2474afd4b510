// POST /v1/answer and /v1/explain, GET /v1/models and GET /v1/models/{id}: translation only, the service decides.
#pragma once

#include <memory>
#include <string>

#include "server/http/answer_json.h"
#include "server/http/http_call.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"
#include "server/service/service.h"

namespace sf::server {

// Thread-safe.
class NativeApi {
 public:
  // REQUIRES: all three outlive the listener's last request.
  NativeApi(const HttpOptions& options, Service& service, Listener& listener);
  // Effect: adds the routes. REQUIRES: before listener.start().
  void register_routes();

 private:
  void answer(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader);
  void explain(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader);
  FetchImage fetch_of(const httplib::Request& request) const;
  void submit(const httplib::Request& request, httplib::Response& response, const HttpCall& call, AnswerRequest asked,
              bool streamed, const ExplainRequest* explained);
  std::shared_ptr<ResponseStream> explain_and_submit(const httplib::Request& request, const HttpCall& call,
                                                     AnswerRequest asked, ExplainRequest explained,
                                                     ExplainResult& explanation);
  void answer_whole(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                    ResponseStream& stream, const AnswerHead& head, const ExplainResult* explanation);
  void answer_stream(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                     std::shared_ptr<ResponseStream> stream, const AnswerHead& head);
  void model(const httplib::Request& request, httplib::Response& response);

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
};

}  // namespace sf::server
