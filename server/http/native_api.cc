#include "server/http/native_api.h"

#include <optional>
#include <utility>

#include "server/http/access.h"
#include "server/http/answer_body.h"
#include "server/http/answer_json.h"
#include "server/service/explain_fields.h"

namespace sf::server {
namespace {

// Deltas as they come, then the object that is the whole answer where it is not streamed.
class NativePresenter final : public Presenter {
 public:
  NativePresenter(const Service& service, const std::string& call_id, std::string model)
      : service_(service), head_{call_id, std::move(model), 0} {}

  ExplainResult& explanation() { return explanation_.emplace(); }

  void on_submitted(int64_t model_version) override {
    head_.model = served_model(service_, head_.model);
    head_.model_version = model_version;
  }
  void write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers,
                   const Summary& total) override {
    response.set_content(answer_json(head_, answers.front().text, total, explanation_ ? &*explanation_ : nullptr),
                         "application/json");
  }
  // Clients of this API skip no comments.
  EventFormat event_format() const override { return {.pings = false, .done_event = true}; }
  std::vector<std::string> events_of(size_t /*index*/, Event event) override {
    std::vector<std::string> events;
    text_ += event.text;
    if (!event.text.empty()) events.push_back(delta_json(head_, event.text));
    if (event.finished) events.push_back(answer_json(head_, text_, *event.summary));
    return events;
  }

 private:
  const Service& service_;
  AnswerHead head_;
  std::optional<ExplainResult> explanation_;
  std::string text_;
};

// The explanation first: while too many are under way, nothing is answered in vain. Both come from one version: if a
// new one was published in between, both are made again.
AnswerStreams explain_and_submit(Service& service, const HttpCall& call, AnswerRequest asked, ExplainRequest explained,
                                 ExplainResult& explanation) {
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    explained.question.spent_s = spent_s(call);
    explanation = service.explain(explained, asked.is_unwanted);
    asked.spent_s = spent_s(call);
    std::shared_ptr<ResponseStream> stream = service.submit(asked);
    if (stream->model_version() == explanation.model_version) return {std::move(stream)};
    stream->cancel();
  }
  throw Error(Code::kUnavailable, "the model was replaced again and again, try again later");
}

}  // namespace

NativeApi::NativeApi(const HttpOptions& options, Service& service, Listener& listener)
    : options_(options),
      service_(service),
      listener_(listener),
      handler_(options, service, [&listener] { return listener.stopping(); }) {}

void NativeApi::register_routes() {
  listener_.post("/v1/answer", [this](const auto& request, auto& response, const auto& reader) {
    answer(request, response, reader);
  });
  listener_.post("/v1/explain", [this](const auto& request, auto& response, const auto& reader) {
    explain(request, response, reader);
  });
  listener_.get("/v1/models", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(model_list_json(service_.models()), "application/json");
  });
  listener_.get("/v1/models/:id", [this](const auto& request, auto& response) { model(request, response); });
}

AnswerFields NativeApi::read_fields(const httplib::Request& request, const httplib::ContentReader& reader) const {
  const FetchImage fetch =
      fetch_for(options_.fetch_image, {.tenant = caller_of(options_.keys, request),
                                       .is_unwanted = [&request] { return request.is_connection_closed(); }});
  return read_answer_body(request, reader, options_.limits, body_limits(options_, listener_), fetch);
}

void NativeApi::answer(const httplib::Request& request, httplib::Response& response,
                       const httplib::ContentReader& reader) {
  handler_.serve("rest", request, response, [&](const HttpCall& call, const IsUnwanted& is_unwanted) {
    return prepare(request, reader, call, is_unwanted);
  });
}

PreparedAnswer NativeApi::prepare(const httplib::Request& request, const httplib::ContentReader& reader,
                                  const HttpCall& call, const IsUnwanted& is_unwanted) {
  AnswerFields fields = read_fields(request, reader);
  refuse_explain_fields(fields.explain);
  PreparedAnswer prepared{.presenter = {}, .submit = {}, .streamed = fields.stream};
  std::optional<ExplainRequest> explained;
  if (fields.explained) {
    if (!fields.seed) fields.seed = random_seed();  // of both
    explained = make_answer_explanation(fields, call.id, "rest");
    explained->question.tenant = caller_of(options_.keys, request);
  }
  AnswerRequest asked = make_answer_request(std::move(fields), call.id, "rest", &service_);
  asked.tenant = caller_of(options_.keys, request);
  asked.spent_s = spent_s(call);
  asked.is_unwanted = is_unwanted;
  const auto presenter = std::make_shared<NativePresenter>(service_, call.id, asked.model);
  prepared.presenter = presenter;
  prepared.submit = [this, &call, presenter, asked = std::move(asked), explained = std::move(explained)]() mutable {
    if (!explained) return AnswerStreams{service_.submit(std::move(asked))};
    return explain_and_submit(service_, call, std::move(asked), std::move(*explained), presenter->explanation());
  };
  return prepared;
}

void NativeApi::explain(const httplib::Request& request, httplib::Response& response,
                        const httplib::ContentReader& reader) {
  const auto read = [&](const HttpCall& call, const IsUnwanted& is_unwanted) -> AnswerHandler::Work {
    ExplainRequest asked = make_explain_request(read_fields(request, reader), call.id, "rest");
    asked.question.tenant = caller_of(options_.keys, request);
    asked.question.spent_s = spent_s(call);
    return [this, &call, &is_unwanted, &response, asked = std::move(asked)]() mutable {
      const bool image = asked.image;
      const ExplainResult result = service_.explain(std::move(asked), is_unwanted);
      response.set_header("X-Model-Version", std::to_string(result.model_version));
      if (image) {
        response.set_content(result.png, "image/png");
      } else {
        const AnswerHead head{call.id, result.model, result.model_version};
        response.set_content(explain_json(head, result.explanation), "application/json");
      }
      return result.model_version;
    };
  };
  handler_.serve_work("rest", request, response, read);
}

void NativeApi::model(const httplib::Request& request, httplib::Response& response) {
  const std::string& id = request.path_params.at("id");
  for (const ModelDescription& model : service_.models()) {
    if (model.id != id) continue;
    response.set_content(model_json(model), "application/json");
    return;
  }
  throw Error(Code::kNotFound, "model: unknown", "model");
}

}  // namespace sf::server
