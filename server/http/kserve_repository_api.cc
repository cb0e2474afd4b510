#include "server/http/kserve_repository_api.h"

#include "server/http/body_reader.h"
#include "server/http/http_call.h"
#include "server/http/kserve_json.h"
#include "server/kserve/model_repository.h"
#include "server/wire/json_parse.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr const char* kApi = "kserve_rest";
constexpr const char* kCommandApi = "admin";  // as the other commands are counted
constexpr const char* kJson = "application/json";
const BodyLimits kLimits{.max_bytes = 64 << 10, .timeout_s = 5};
constexpr int kMaxDepth = 4;

std::string read_body(const httplib::Request& request, const httplib::ContentReader& reader) {
  return BodyReader(kLimits, request, reader).read_whole();
}

// tritonclient sends no Content-Type at all.
void check_media_type(const httplib::Request& request, bool required) {
  if (has_media_type(request, kJson)) return;
  if (!required && !request.has_header("Content-Type")) return;
  throw Error(Code::kInvalidArgument, "Content-Type: must be application/json", "Content-Type",
              Reason::kUnsupportedType);
}

// An empty body asks for nothing in particular.
void check_body(RepositoryChange change, const std::string& text) {
  if (text.empty()) return;
  const json body = parse_json_object(text, kMaxDepth);
  for (const auto& [name, value] : body.items()) {
    if (name != "parameters") check_repository_parameter(change, name);
  }
  const json* parameters = find_value(body, "parameters");
  if (parameters == nullptr) return;
  if (!parameters->is_object()) throw invalid_argument("parameters", "parameters: must be an object");
  for (const auto& [name, value] : parameters->items()) check_repository_parameter(change, name);
  get_bool(*parameters, kUnloadDependents);
}

void run_index(Service& service, const httplib::Request& request, httplib::Response& response,
               const httplib::ContentReader& reader) {
  const HttpCall call = begin_call(kApi, request, response);
  try {
    const std::string text = read_body(request, reader);
    // Reading changes nothing, so that what curl -d sends is taken too.
    if (!has_media_type(request, "application/x-www-form-urlencoded")) check_media_type(request, /*required=*/false);
    const bool only_ready = !text.empty() && get_bool(parse_json_object(text, kMaxDepth), "ready").value_or(false);
    response.set_content(infer_index_json(repository_index(service, only_ready)), kJson);
    log_call(service, call, response);
  } catch (...) {
    refuse_call(service, call, request, response, thrown_error());
  }
}

void run_change(Service& service, RepositoryRules rules, RepositoryChange change, const httplib::Request& request,
                httplib::Response& response, const httplib::ContentReader& reader) {
  const HttpCall call = begin_call(kCommandApi, request, response);
  try {
    const std::string text = read_body(request, reader);  // first, so that the client gets to read a refusal
    if (rules == RepositoryRules::kRefuseChanges) throw repository_is_admin();
    check_media_type(request, /*required=*/rules == RepositoryRules::kManagement);
    check_body(change, text);
    const std::string& model = request.path_params.at("model");
    const int64_t served = change_repository(service, change, model);
    response.set_content(repository_change_json(model, served), kJson);
    record_call(service, call, 200, served, nullptr);
  } catch (...) {
    const Error error = thrown_error();
    if (error.code() == Code::kPermissionDenied) {
      refuse_call(service, call, request, response, error);
    } else {
      fail_call(service, call, request, response, error, 0);
    }
  }
}

}  // namespace

void register_repository_routes(Listener& listener, Service& service, RepositoryRules rules) {
  listener.post("/v2/repository/index", [&service](const auto& request, auto& response, const auto& reader) {
    run_index(service, request, response, reader);
  });
  const std::pair<const char*, RepositoryChange> changes[] = {{"load", RepositoryChange::kLoad},
                                                              {"unload", RepositoryChange::kUnload}};
  for (const auto& [name, change] : changes) {
    listener.post(std::string("/v2/repository/models/:model/") + name,
                  [&service, rules, change = change](const auto& request, auto& response, const auto& reader) {
                    run_change(service, rules, change, request, response, reader);
                  });
  }
}

}  // namespace sf::server
