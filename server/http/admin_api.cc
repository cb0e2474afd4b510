#include "server/http/admin_api.h"

#include "server/http/admin_json.h"
#include "server/http/body_reader.h"
#include "server/http/http_call.h"
#include "server/wire/json_parse.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

const BodyLimits kLimits{.max_bytes = 4096, .timeout_s = 5};
constexpr int kMaxDepth = 4;

ModelAdmin& admin_of(const Service& service) {
  ModelAdmin* const admin = service.admin();
  if (admin == nullptr) throw Error(Code::kNotFound, "no such route");
  return *admin;
}

// The version that the body names; 0 if it names none. An empty body names none.
int64_t read_version(const httplib::Request& request, const httplib::ContentReader& reader) {
  if (!has_media_type(request, "application/json")) {
    throw Error(Code::kInvalidArgument, "Content-Type: must be application/json", "Content-Type",
                Reason::kUnsupportedType);
  }
  const std::string text = BodyReader(kLimits, request, reader).read_whole();
  if (text.empty()) return 0;
  const nlohmann::json body = parse_json_object(text, kMaxDepth);
  for (const auto& item : body.items()) {
    if (item.key() != "version") throw invalid_argument(item.key(), item.key(), ": not known here");
  }
  const std::optional<int64_t> version = get_integer(body, "version");
  if (version && *version < 1) throw invalid_argument("version", "version: must be at least 1, got ", *version);
  return version.value_or(0);
}

using Command = int64_t (*)(ModelAdmin& admin, int64_t version);

void run(Service& service, Command command, const httplib::Request& request, httplib::Response& response,
         const httplib::ContentReader& reader) {
  const HttpCall call = begin_call("admin", request, response);
  try {
    const int64_t version = read_version(request, reader);
    ModelAdmin& admin = admin_of(service);
    const int64_t served = command(admin, version);
    response.set_content(command_json(served, admin.versions()), "application/json");
    record_call(service, call, 200, served, nullptr);
  } catch (...) {
    fail_call(service, call, request, response, thrown_error(), 0);
  }
}

int64_t load(ModelAdmin& admin, int64_t version) {
  if (version == 0) throw invalid_argument("version", "version: missing");
  return admin.load(version);
}

void refuse_version(int64_t version) {
  if (version != 0) throw invalid_argument("version", "version: this command takes none");
}

int64_t pin(ModelAdmin& admin, int64_t version) { return admin.pin(version); }

int64_t unpin(ModelAdmin& admin, int64_t version) {
  refuse_version(version);
  return admin.unpin();
}

int64_t rollback(ModelAdmin& admin, int64_t version) {
  refuse_version(version);
  return admin.rollback();
}

}  // namespace

void register_version_routes(Listener& listener, Service& service) {
  listener.get("/v1/versions", [&service](const httplib::Request&, httplib::Response& response) {
    response.set_content(versions_json(admin_of(service).versions()), "application/json");
  });
  listener.get("/v1/experts", [&service](const httplib::Request&, httplib::Response& response) {
    const std::optional<ExpertLoads> loads = admin_of(service).expert_loads();
    if (!loads) throw Error(Code::kUnavailable, "no model is loaded", "", Reason::kDraining);
    response.set_content(experts_json(*loads), "application/json");
  });
}

void register_admin_routes(Listener& listener, Service& service) {
  const std::pair<const char*, Command> commands[] = {
      {"/v1/admin/load", load}, {"/v1/admin/pin", pin}, {"/v1/admin/unpin", unpin}, {"/v1/admin/rollback", rollback}};
  for (const auto& [path, command] : commands) {
    listener.post(path, [&service, command = command](const auto& request, auto& response, const auto& reader) {
      run(service, command, request, response, reader);
    });
  }
}

}  // namespace sf::server
