#include "server/http/kserve_infer_api.h"

#include <chrono>
#include <utility>

#include "server/http/access.h"
#include "server/http/body_reader.h"
#include "server/http/kserve_json.h"
#include "server/http/kserve_request.h"
#include "server/wire/json_parse.h"
#include "server/wire/parameters.h"

namespace sf::server {
namespace {

constexpr const char* kJsonBytesHeader = "Inference-Header-Content-Length";

// tritonclient sends no Content-Type at all, and curl -d, as Triton's pages show it, a form's.
void check_media_type(const httplib::Request& request) {
  if (!request.has_header("Content-Type")) return;
  for (const char* type : {"application/json", "application/octet-stream", "application/x-www-form-urlencoded"}) {
    if (has_media_type(request, type)) return;
  }
  throw Error(Code::kInvalidArgument, "Content-Type: must be application/json or application/octet-stream",
              "Content-Type", Reason::kUnsupportedType);
}

std::optional<size_t> json_bytes(const httplib::Request& request) {
  if (!request.has_header(kJsonBytesHeader)) return std::nullopt;
  return parse_unsigned(request.get_header_value(kJsonBytesHeader), kJsonBytesHeader);
}

std::string asked_version(const httplib::Request& request) {
  const auto version = request.path_params.find("version");
  return version == request.path_params.end() ? "" : version->second;
}

// What is known of a request before it is submitted, beside its questions.
struct InferForm {
  InferHead head;
  bool tensors = true;  // the protocol's infer, else Triton's generate
  bool binary_output = false;
  std::chrono::steady_clock::time_point start;
};

// The ANSWER tensor of infer; of generate the objects with the tensors as keys, as Triton writes them: of a stream one
// for a delta, one with the counts at the end, and no "[DONE]".
class InferPresenter final : public Presenter {
 public:
  InferPresenter(InferForm form, InferStatistics& statistics) : form_(std::move(form)), statistics_(statistics) {}

  void on_submitted(int64_t model_version) override { form_.head.model_version = model_version; }
  Summary total(const std::vector<const Summary*>& summaries) const override {
    Summary total = *summaries.front();
    for (size_t i = 1; i < summaries.size(); ++i) add_summary(total, *summaries[i]);
    return total;
  }
  void write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers,
                   const Summary& total) override {
    std::vector<std::string> texts;
    for (const WholeAnswer& answer : answers) texts.push_back(answer.text);
    if (!form_.tensors) {
      response.set_content(generate_end_json(form_.head, texts, total, /*streamed=*/false), "application/json");
      return;
    }
    InferBody body = infer_answer_body(form_.head, texts, total, form_.binary_output);
    if (form_.binary_output) response.set_header(kJsonBytesHeader, std::to_string(body.json_bytes));
    response.set_content(std::move(body.text), form_.binary_output ? "application/octet-stream" : "application/json");
  }
  EventFormat event_format() const override { return {.pings = true, .done_event = false}; }
  std::vector<std::string> events_of(size_t /*index*/, Event event) override {
    std::vector<std::string> events;
    if (!event.text.empty()) events.push_back(generate_delta_json(form_.head, event.text));
    if (event.finished) events.push_back(generate_end_json(form_.head, {""}, *event.summary, /*streamed=*/true));
    return events;
  }
  void on_end(const Summary* total, size_t num_answers) override {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - form_.start;
    if (total != nullptr) {
      statistics_.record_success(form_.head.model_name, *total, elapsed.count(), num_answers);
    } else {
      statistics_.record_failure(form_.head.model_name, elapsed.count());
    }
  }

 private:
  InferForm form_;
  InferStatistics& statistics_;
};

}  // namespace

KserveInferApi::KserveInferApi(const HttpOptions& options, Service& service, Listener& listener,
                               InferStatistics& statistics)
    : options_(options),
      service_(service),
      listener_(listener),
      statistics_(statistics),
      handler_(options, service, [&listener] { return listener.stopping(); }) {}

void KserveInferApi::register_routes() {
  const std::pair<const char*, Kind> routes[] = {
      {"/infer", Kind::kInfer}, {"/generate", Kind::kGenerate}, {"/generate_stream", Kind::kGenerateStream}};
  for (const char* path : {"/v2/models/:model", "/v2/models/:model/versions/:version"}) {
    for (const auto& [suffix, kind] : routes) {
      listener_.post(
          std::string(path) + suffix, [this, kind = kind](const auto& request, auto& response, const auto& reader) {
            handler_.serve("kserve_rest", request, response, [&](const HttpCall& call, const IsUnwanted& is_unwanted) {
              return prepare(kind, request, reader, call, is_unwanted);
            });
          });
    }
  }
}

KserveInferApi::Asked KserveInferApi::read(Kind kind, const httplib::Request& request,
                                           const httplib::ContentReader& reader) const {
  check_media_type(request);
  BodyReader body(body_limits(options_, listener_), request, reader);
  Asked asked;
  asked.version = asked_version(request);
  std::optional<size_t> json_size;
  try {
    asked.model = find_served_model(service_, request.path_params.at("model"), asked.version);
    if (kind == Kind::kInfer && asked.model.decoupled) {
      throw invalid_argument("model", "model: ", asked.model.name, " is decoupled: ask ", asked.model.model.id,
                             ", or use generate_stream or ModelStreamInfer");
    }
    if (kind == Kind::kInfer) json_size = json_bytes(request);
  } catch (const Error&) {
    body.discard();  // so that the client gets to read the refusal
    throw;
  }
  const JsonLimits limits = json_limits(options_.limits);
  if (kind != Kind::kInfer) {
    asked.infer.request = read_generate_body(body.read_json(limits), options_.limits);
  } else if (json_size) {
    std::string binary;
    const nlohmann::json object = body.read_json(limits, *json_size, binary);
    asked.infer = read_infer_body(object, binary, options_.limits);
  } else {
    asked.infer = read_infer_body(body.read_json(limits), "", options_.limits);
  }
  asked.infer.request.body_bytes = body.num_bytes();
  return asked;
}

PreparedAnswer KserveInferApi::prepare(Kind kind, const httplib::Request& request, const httplib::ContentReader& reader,
                                       const HttpCall& call, const IsUnwanted& is_unwanted) {
  Asked asked = read(kind, request, reader);
  const bool in_parts = kind == Kind::kGenerateStream;
  InferForm form{.head = {asked.model.name, 0, asked.infer.request.id, {}},
                 .tensors = kind == Kind::kInfer,
                 .binary_output = asked.infer.binary_output,
                 .start = call.start};
  InferBatch batch(std::move(asked.infer.request), asked.model, in_parts, call.id, call.api);
  form.head.shape = batch.shape();
  batch.common().tenant = caller_of(options_.keys, request);
  batch.common().spent_s = spent_s(call);
  batch.common().is_unwanted = is_unwanted;
  PreparedAnswer prepared{.presenter = {}, .submit = {}, .streamed = in_parts};
  prepared.presenter = std::make_shared<InferPresenter>(std::move(form), statistics_);
  prepared.submit = [this, batch = std::move(batch), version = asked.version]() mutable {
    return submit_infer(service_, std::move(batch), version);
  };
  return prepared;
}

}  // namespace sf::server
