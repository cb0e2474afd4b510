#include "server/http/kserve_infer_api.h"

#include <algorithm>

#include "server/http/access.h"
#include "server/http/body_reader.h"
#include "server/http/kserve_stream.h"
#include "server/wire/json_parse.h"
#include "server/wire/parameters.h"
#include "server/wire/thrown_error.h"

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

}  // namespace

KserveInferApi::KserveInferApi(const HttpOptions& options, Service& service, Listener& listener,
                               InferStatistics& statistics)
    : options_(options), service_(service), listener_(listener), statistics_(statistics) {}

void KserveInferApi::register_routes() {
  const std::pair<const char*, Kind> routes[] = {
      {"/infer", Kind::kInfer}, {"/generate", Kind::kGenerate}, {"/generate_stream", Kind::kGenerateStream}};
  for (const char* path : {"/v2/models/:model", "/v2/models/:model/versions/:version"}) {
    for (const auto& [suffix, kind] : routes) {
      listener_.post(std::string(path) + suffix,
                     [this, kind = kind](const auto& request, auto& response, const auto& reader) {
                       handle(kind, request, response, reader);
                     });
    }
  }
}

KserveInferApi::Asked KserveInferApi::read(Kind kind, const httplib::Request& request,
                                           const httplib::ContentReader& reader, const HttpCall& call) const {
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
  HttpInfer infer;
  if (kind != Kind::kInfer) {
    infer.request = read_generate_body(body.read_json(limits), options_.limits);
  } else if (json_size) {
    std::string binary;
    const nlohmann::json object = body.read_json(limits, *json_size, binary);
    infer = read_infer_body(object, binary, options_.limits);
  } else {
    infer = read_infer_body(body.read_json(limits), "", options_.limits);
  }
  infer.request.body_bytes = body.num_bytes();
  asked.binary_output = infer.binary_output;
  asked.id = infer.request.id;
  const bool in_parts = kind == Kind::kGenerateStream;
  asked.batch = InferBatch(std::move(infer.request), asked.model, in_parts, call.id, call.api);
  asked.shape = asked.batch.shape();
  asked.batch.common().tenant = caller_of(options_.keys, request);
  asked.batch.common().spent_s = spent_s(call);
  return asked;
}

void KserveInferApi::handle(Kind kind, const httplib::Request& request, httplib::Response& response,
                            const httplib::ContentReader& reader) {
  const HttpCall call = begin_call("kserve_rest", request, response);
  Asked asked;
  try {
    asked = read(kind, request, reader, call);
  } catch (...) {
    refuse_call(service_, call, request, response, thrown_error());
    return;
  }
  asked.batch.common().is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  InferAnswers answers;
  try {
    answers = submit_infer(service_, std::move(asked.batch), asked.version);
    response.set_header("X-Model-Version", std::to_string(answers.front()->model_version()));
    if (kind == Kind::kGenerateStream) {
      answer_stream(request, response, call, asked, answers.front());
    } else {
      answer_whole(kind, request, response, call, asked, answers);
    }
  } catch (...) {
    for (const auto& answer : answers) answer->cancel();
    const Error error = thrown_error();
    const bool stopped = error.code() == Code::kCancelled && listener_.stopping();
    fail(request, response, call, asked, stopped ? shutting_down() : error, 0);
  }
}

void KserveInferApi::answer_whole(Kind kind, const httplib::Request& request, httplib::Response& response,
                                  const HttpCall& call, const Asked& asked, const InferAnswers& answers) {
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  const int64_t version = answers.front()->model_version();
  const InferResult result = wait_for_answers(answers, options_.poll_interval_ms, is_unwanted);
  if (result.error) {
    const bool stopped = result.error->code() == Code::kCancelled && listener_.stopping();
    fail(request, response, call, asked, stopped ? shutting_down() : *result.error, version);
    return;
  }
  const InferHead head{asked.model.name, version, asked.id, asked.shape};
  if (kind == Kind::kGenerate) {
    response.set_content(generate_end_json(head, result.texts, *result.summary, /*streamed=*/false),
                         "application/json");
  } else {
    InferBody body = infer_answer_body(head, result.texts, *result.summary, asked.binary_output);
    if (asked.binary_output) response.set_header(kJsonBytesHeader, std::to_string(body.json_bytes));
    response.set_content(std::move(body.text), asked.binary_output ? "application/octet-stream" : "application/json");
  }
  count(call, asked.model.name, &*result.summary, result.texts.size());
  record_call(service_, call, 200, version, &*result.summary);
}

void KserveInferApi::answer_stream(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                                   const Asked& asked, std::shared_ptr<ResponseStream> stream) {
  const int64_t version = stream->model_version();
  // For no longer than a proxy waits.
  const FirstEventOptions patience{.poll_interval_ms = options_.poll_interval_ms,
                                   .max_wait_ms = options_.ping_interval_ms};
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  FirstEvent first = wait_for_first_event(*stream, patience, is_unwanted);
  if (first.unwanted) {
    stream->cancel();
    fail(request, response, call, asked, listener_.stopping() ? shutting_down() : client_gone(), version);
    return;
  }
  if (first.event && first.event->error) {
    fail(request, response, call, asked, *first.event->error, version);
    return;
  }
  GenerateStreamOptions options{.head = {asked.model.name, version, asked.id, asked.shape},
                                .call_id = call.id,
                                .poll_interval_ms = options_.poll_interval_ms,
                                .ping_interval_ms = options_.ping_interval_ms,
                                .is_stopping = [this] { return listener_.stopping(); }};
  auto generate = std::make_shared<GenerateStream>(
      std::move(stream), std::move(first.event), std::move(options),
      [this, call, version, name = asked.model.name](int code, const Summary* summary) {
        count(call, name, summary);
        record_call(service_, call, code, version, summary);
      });
  respond_with_events(response, std::move(generate));
}

void KserveInferApi::fail(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                          const Asked& asked, const Error& error, int64_t version) {
  fail_call(service_, call, request, response, error, version);
  count(call, asked.model.name, nullptr);
}

void KserveInferApi::count(const HttpCall& call, const std::string& model, const Summary* summary, size_t num_answers) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  if (summary != nullptr) {
    statistics_.record_success(model, *summary, elapsed.count(), num_answers);
  } else {
    statistics_.record_failure(model, elapsed.count());
  }
}

}  // namespace sf::server
