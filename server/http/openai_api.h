// POST /v1/chat/completions as OpenAI's clients speak it: translation only, the service decides.
//
//   OpenAiApi openai(http_options, service, listener);
//   openai.register_routes();
//
// Thread-safe.
#pragma once

#include "server/http/answer_handler.h"
#include "server/http/listener.h"

namespace sf::server {

class OpenAiApi {
 public:
  // REQUIRES: all three outlive the listener's last request.
  OpenAiApi(const HttpOptions& options, Service& service, Listener& listener);
  // Effect: adds the route. REQUIRES: before listener.start().
  void register_routes();

 private:
  PreparedAnswer prepare(const httplib::Request& request, const httplib::ContentReader& reader, const HttpCall& call,
                         const IsUnwanted& is_unwanted);

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
  AnswerHandler handler_;
};

}  // namespace sf::server
