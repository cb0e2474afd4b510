// The one way of a request to the service and of its answer to the client, whole or in parts, under all REST APIs: what
// is caught, what it becomes (a refusal, a status, an event), when the client counts as gone, what is recorded.
//
//   AnswerHandler handler(http_options, service, is_stopping);
//   handler.serve("rest", request, response, [&](const HttpCall&, const IsUnwanted& is_unwanted) {
//     AnswerRequest asked;  // read from the request; what is thrown here refuses it
//     asked.is_unwanted = is_unwanted;
//     return PreparedAnswer{.presenter = presenter,
//                           .submit = [=] { return AnswerStreams{service.submit(asked)}; },
//                           .streamed = true};
//   });
//
// Thread-safe.
#pragma once

#include <httplib.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http/answer_events.h"
#include "server/http/http_call.h"
#include "server/http/http_server.h"
#include "server/http/presenter.h"

namespace sf::server {

// Whether the client left or the server stops. May be copied; valid until the request's handler returns.
using IsUnwanted = std::function<bool()>;

// A request that was read and found good.
struct PreparedAnswer {
  std::shared_ptr<Presenter> presenter;
  std::function<AnswerStreams()> submit;  // called once; the streams are of one version, and there is one at least
  bool streamed = false;
};

class AnswerHandler {
 public:
  // REQUIRES: `options` and `service` outlive this, and this the last response.
  AnswerHandler(const HttpOptions& options, Service& service, std::function<bool()> is_stopping);

  // Effect: reads, submits and answers a request. What `read` throws refuses it before the service saw it; what is
  // thrown later, and an error in place of the first event, is its status; a later error of a stream is an event.
  // Blocks for a whole answer, and for the first event of a streamed one.
  using ReadAnswer = std::function<PreparedAnswer(const HttpCall& call, const IsUnwanted& is_unwanted)>;
  void serve(const char* api, const httplib::Request& request, httplib::Response& response, const ReadAnswer& read);

  // Effect: the same for a request that is answered in one piece without a stream: the work writes the response and
  // returns the version that answered.
  using Work = std::function<int64_t()>;
  using ReadWork = std::function<Work(const HttpCall& call, const IsUnwanted& is_unwanted)>;
  void serve_work(const char* api, const httplib::Request& request, httplib::Response& response, const ReadWork& read);

 private:
  // A request in the handler's hands.
  struct Exchange {
    const HttpCall call;
    const httplib::Request& request;
    httplib::Response& response;
    const IsUnwanted is_unwanted;
  };

  Exchange begin(const char* api, const httplib::Request& request, httplib::Response& response) const;
  // The catch ladder. `on_failure(error)` gets what `work` threw.
  template <typename Read, typename RunWork, typename OnFailure>
  void guard(const Exchange& exchange, const Read& read, const RunWork& run_work, const OnFailure& on_failure);
  void answer_whole(const Exchange& exchange, Presenter& presenter, const AnswerStreams& streams);
  void answer_in_parts(const Exchange& exchange, const std::shared_ptr<Presenter>& presenter,
                       const AnswerStreams& streams);
  void fail(const Exchange& exchange, Presenter& presenter, const Error& error, int64_t model_version);
  // Whether what was cancelled was so because the server stops.
  bool is_stop(const Error& error) const { return error.code() == Code::kCancelled && is_stopping_(); }
  Error reason_of(const Error& error) const { return is_stop(error) ? shutting_down() : error; }

  const HttpOptions& options_;
  Service& service_;
  const std::function<bool()> is_stopping_;
};

}  // namespace sf::server
