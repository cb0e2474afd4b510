// POST /v1/chat/completions as OpenAI's clients speak it: translation only, the service decides.
#pragma once

#include <memory>
#include <vector>

#include "server/http/chat_request.h"
#include "server/http/chat_stream.h"
#include "server/http/http_call.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"

namespace sf::server {

// Thread-safe.
class OpenAiApi {
 public:
  // REQUIRES: all three outlive the listener's last request.
  OpenAiApi(const HttpOptions& options, Service& service, Listener& listener);
  // Effect: adds the route. REQUIRES: before listener.start().
  void register_routes();

 private:
  using Streams = std::vector<std::shared_ptr<ResponseStream>>;

  void complete(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader);
  ChatRequest read(const httplib::Request& request, const httplib::ContentReader& reader, const HttpCall& call) const;
  Streams submit(const ChatRequest& chat);
  void answer_whole(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                    const ChatRequest& chat, const Streams& streams, const ChatHead& head);
  void answer_stream(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                     const ChatRequest& chat, const Streams& streams, const ChatHead& head);

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
};

}  // namespace sf::server
