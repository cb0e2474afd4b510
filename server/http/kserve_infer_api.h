// POST /v2/models/{m}[/versions/{v}]/infer, /generate and /generate_stream: translation only, the service decides.
#pragma once

#include <memory>
#include <string>

#include "server/http/http_call.h"
#include "server/http/http_server.h"
#include "server/http/kserve_json.h"
#include "server/http/kserve_request.h"
#include "server/http/listener.h"
#include "server/kserve/infer_statistics.h"

namespace sf::server {

// Thread-safe.
class KserveInferApi {
 public:
  // REQUIRES: all outlive the listener's last request.
  KserveInferApi(const HttpOptions& options, Service& service, Listener& listener, InferStatistics& statistics);
  // Effect: adds the routes. REQUIRES: before listener.start().
  void register_routes();

 private:
  enum class Kind { kInfer, kGenerate, kGenerateStream };
  // A request that was read and found good.
  struct Asked {
    InferBatch batch;
    ServedModel model;
    std::string version;         // "" = any
    std::string id;              // the client's own
    std::vector<int64_t> shape;  // of ANSWER
    bool binary_output = false;
  };

  void handle(Kind kind, const httplib::Request& request, httplib::Response& response,
              const httplib::ContentReader& reader);
  Asked read(Kind kind, const httplib::Request& request, const httplib::ContentReader& reader,
             const HttpCall& call) const;
  void answer_whole(Kind kind, const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                    const Asked& asked, const InferAnswers& answers);
  void answer_stream(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                     const Asked& asked, std::shared_ptr<ResponseStream> stream);
  // Effect: writes the error and records it, here and in the statistics.
  void fail(const httplib::Request& request, httplib::Response& response, const HttpCall& call, const Asked& asked,
            const Error& error, int64_t version);
  void count(const HttpCall& call, const std::string& model, const Summary* summary, size_t num_answers = 1);

  const HttpOptions& options_;
  Service& service_;
  Listener& listener_;
  InferStatistics& statistics_;
};

}  // namespace sf::server
