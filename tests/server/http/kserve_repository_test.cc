// The model repository of KServe over REST: what it lists, who may change it, what is refused by name.
#include <gmock/gmock.h>

#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kLoad = "/v2/repository/models/sparsefusion/load";
constexpr const char* kUnload = "/v2/repository/models/sparsefusion/unload";

class KserveRepositoryTest : public HttpFixture {
 protected:
  KserveRepositoryTest() : admin_({.port = 0}, service) {
    admin_.start();
    manager_ = std::make_unique<httplib::Client>("127.0.0.1", admin_.port());
  }
  void start_with_keys() { start({.keys = &keys_}); }

  json index(const std::string& body = "") {
    const httplib::Result result = client->Post("/v2/repository/index", body, "application/json");
    return result->status == 200 ? json::parse(result->body) : json(result->status);
  }
  // "sparsefusion 3 READY ", a row each.
  std::vector<std::string> rows(const std::string& body = "") {
    std::vector<std::string> rows;
    for (const json& row : index(body)) {
      rows.push_back(row["name"].get<std::string>() + " " + row["version"].get<std::string>() + " " +
                     row["state"].get<std::string>() + " " + row["reason"].get<std::string>());
    }
    return rows;
  }
  // As Triton's client sends it: without a Content-Type, which httplib's client would add. The status and the body.
  std::pair<int, json> tell_as_stock(const std::string& path, const std::string& body) {
    RawConnection raw(port());
    raw.send("POST " + path +
             " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin-key\r\nConnection: close\r\n" +
             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    const std::string reply = raw.read_all();
    return {std::stoi(reply.substr(reply.find(' '))), json::parse(reply.substr(reply.find("\r\n\r\n")))};
  }
  std::pair<int, json> tell(httplib::Client& port, const std::string& path, const std::string& body,
                            const std::string& key = "", const httplib::Headers& more = {}) {
    httplib::Request request;
    request.method = "POST";
    request.path = path;
    request.body = body;
    request.headers = more;
    if (!key.empty()) request.set_header("Authorization", "Bearer " + key);
    const httplib::Result result = port.send(request);
    if (!result) return {0, {}};
    return {result->status, json::parse(result->body)};
  }
  std::pair<int, json> manage(const std::string& path, const std::string& body,
                              const httplib::Headers& headers = {{"Content-Type", "application/json"}}) {
    return tell(*manager_, path, body, "", headers);
  }
  static std::string error_of(const std::pair<int, json>& reply) { return reply.second["error"].get<std::string>(); }

  KeyRing keys_{parse_api_keys("alice " + hash_api_key("infer-key") + " infer\n" + "ops " + hash_api_key("admin-key") +
                               " admin\n"),
                [] { return 0.0; }};
  AdminServer admin_;
  std::unique_ptr<httplib::Client> manager_;
};

TEST_F(KserveRepositoryTest, ListsBothNamesWithStatesAndReasons) {
  start();
  const std::string canary = "canary: canary: 1 of 36 answers differ from the trainer's";
  EXPECT_THAT(rows(), ElementsAre("sparsefusion 3 READY ", "sparsefusion 4 UNAVAILABLE " + canary,
                                  "sparsefusion_stream 3 READY ", "sparsefusion_stream 4 UNAVAILABLE " + canary));
  EXPECT_EQ(rows("{}"), rows());
  EXPECT_EQ(rows(R"({"ready": false})"), rows());
  EXPECT_THAT(rows(R"({"ready": true})"), ElementsAre("sparsefusion 3 READY ", "sparsefusion_stream 3 READY "));
  EXPECT_EQ(tell(*manager_, "/v2/repository/index", "").second, index());
}

TEST_F(KserveRepositoryTest, ListsWhatLoadsRetiresAndWasUnloaded) {
  start();
  const auto status = [](int64_t version, VersionState state, const std::string& reason = "") {
    return VersionStatus{.version = version, .state = state, .reason = reason, .message = {}, .facts = {}};
  };
  service.model_admin->listed = {{status(1, VersionState::kAvailable), status(2, VersionState::kRetired),
                                  status(3, VersionState::kLoading),
                                  status(4, VersionState::kAvailable, "out_of_memory")}};
  std::vector<std::string> list = rows();
  list.resize(3);
  EXPECT_THAT(list, ElementsAre("sparsefusion 2 UNAVAILABLE retired", "sparsefusion 3 LOADING ",
                                "sparsefusion 4 UNAVAILABLE out_of_memory"));
  service.model_admin->listed = {{status(1, VersionState::kAvailable, kUnloadedReason)}};
  service.model_admin->unloaded = true;
  EXPECT_THAT(rows(), ElementsAre("sparsefusion 1 UNAVAILABLE unloaded", "sparsefusion_stream 1 UNAVAILABLE unloaded"));
  EXPECT_THAT(rows(R"({"ready": true})"), IsEmpty());
  service.model_admin->listed = {{status(2, VersionState::kAvailable)}};  // what was unloaded is pruned
  EXPECT_THAT(rows(), ElementsAre("sparsefusion  UNAVAILABLE unloaded", "sparsefusion_stream  UNAVAILABLE unloaded"));
  service.model_admin->unloaded = false;
  EXPECT_THAT(rows(), ElementsAre("sparsefusion  UNAVAILABLE no version yet",
                                  "sparsefusion_stream  UNAVAILABLE no version yet"));
}

TEST_F(KserveRepositoryTest, TheIndexRefusesWhatItCannotRead) {
  start();
  for (const char* body : {"[", "[]", R"({"ready": "yes"})", R"({"ready": 1})", R"({"ready": true, "ready": false})"}) {
    EXPECT_EQ(index(body), 400) << body;
  }
  EXPECT_EQ(index(std::string(70000, ' ')), 413);
}

TEST_F(KserveRepositoryTest, WithAKeyTheStockClientsCallsAreCommands) {
  start_with_keys();
  const auto loaded = tell_as_stock(kLoad, "{}");
  EXPECT_EQ(loaded.first, 200);
  EXPECT_EQ(loaded.second, json({{"name", "sparsefusion"}, {"version", "3"}, {"state", "READY"}}));
  const auto unloaded = tell_as_stock(kUnload, R"({"parameters": {"unload_dependents": false}})");
  EXPECT_EQ(unloaded.first, 200);
  EXPECT_EQ(unloaded.second, json({{"name", "sparsefusion"}, {"version", ""}, {"state", "UNAVAILABLE"}}));
  EXPECT_EQ(tell_as_stock("/v2/repository/models/sparsefusion_stream/load", "").first, 200);
  EXPECT_THAT(service.model_admin->commands(), ElementsAre("load newest", "unload", "load newest"));
  const std::vector<FakeRecord> finished = service.wait_for_finished(3);
  EXPECT_EQ(finished.at(0).api, "admin");
  EXPECT_EQ(finished.at(0).model_version, 3);
}

TEST_F(KserveRepositoryTest, OnThePublicPortTheyNeedTheScope) {
  start_with_keys();
  for (const char* path : {kLoad, kUnload}) {
    EXPECT_EQ(tell(*client, path, "{}").first, 401) << path;
    EXPECT_EQ(tell(*client, path, "{}", "infer-key").first, 403) << path;
  }
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(KserveRepositoryTest, WithoutKeysThePublicPortRefusesAndNamesTheOther) {
  start();
  for (const char* path : {kLoad, kUnload}) {
    const auto reply = tell(*client, path, "{}");
    EXPECT_EQ(reply.first, 403);
    EXPECT_THAT(error_of(reply), HasSubstr("--admin-port"));
    EXPECT_EQ(tell(*client, path, "{\"parameters\": {\"config\": \"{}\"}}").first, 403);
  }
  EXPECT_EQ(service.wait_for_rejected(1).at(0).reason, "permission_denied");
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(KserveRepositoryTest, TheManagementPortAlwaysHasThem) {
  EXPECT_EQ(manage(kUnload, "").first, 200);
  EXPECT_EQ(manage(kLoad, "{}").second["version"], "3");
  EXPECT_THAT(service.model_admin->commands(), ElementsAre("unload", "load newest"));
}

TEST_F(KserveRepositoryTest, AForeignPageCannotSendThem) {
  const auto json_and = [](const char* name, const char* value) {
    return httplib::Headers{{"Content-Type", "application/json"}, {name, value}};
  };
  RawConnection raw(admin_.port());
  raw.send("POST /v2/repository/models/sparsefusion/unload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(raw.read_all(), HasSubstr(" 415 ")) << "a body without a type is what a page may send";
  EXPECT_EQ(manage(kUnload, "{}", {{"Content-Type", "text/plain"}}).first, 415);
  EXPECT_EQ(manage(kUnload, "a=b", {{"Content-Type", "application/x-www-form-urlencoded"}}).first, 415);
  EXPECT_EQ(manage(kUnload, "{}", json_and("Origin", "https://evil.example")).first, 403);
  EXPECT_EQ(manage(kUnload, "{}", json_and("Host", "evil.example")).first, 403);
  start_with_keys();
  EXPECT_EQ(tell(*client, kUnload, "a=b", "admin-key", {{"Content-Type", "text/plain"}}).first, 415);
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(KserveRepositoryTest, OverridesAreRefusedByName) {
  const auto config = manage(kLoad, R"({"parameters": {"config": "{\"backend\": \"python\"}"}})");
  EXPECT_EQ(config.first, 400);
  EXPECT_THAT(error_of(config), HasSubstr("config"));
  const auto file = manage(kLoad, R"({"parameters": {"file:1/model.onnx": "AAAA"}})");
  EXPECT_EQ(file.first, 400);
  EXPECT_THAT(error_of(file), HasSubstr("file:1/model.onnx"));
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(KserveRepositoryTest, HostileBodiesChangeNothing) {
  for (const char* path : {kLoad, kUnload}) {
    for (const char* body :
         {"[", "[]", "null", "1", "\"x\"", R"({"parameters": []})", R"({"parameters": 1})", R"({"force": true})",
          R"({"parameters": {"unload_dependents": "yes"}})", R"({"parameters": {"force": true}})",
          R"({"parameters": {"": true}})", R"({"parameters": {}, "parameters": {}})", "{\"parameters\": {\"\xff\": 1}}",
          R"({"parameters": {"unload_dependents": [[[[[[1]]]]]]}})"}) {
      EXPECT_EQ(manage(path, body).first, 400) << path << " " << body;
    }
    EXPECT_EQ(manage(path, "{\"parameters\": {\"" + std::string(60000, 'x') + "\": 1}}").first, 400);
    EXPECT_EQ(manage(path, std::string(70000, ' ')).first, 413);
  }
  EXPECT_EQ(manage(kLoad, R"({"parameters": {"unload_dependents": true}})").first, 400) << "of an unload only";
  for (const char* model : {"x", "Sparsefusion", "sparsefusion_stream_stream", "%00", "..%2fsparsefusion"}) {
    EXPECT_EQ(manage(std::string("/v2/repository/models/") + model + "/unload", "{}").first, 404) << model;
  }
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(KserveRepositoryTest, ARefusedLoadSaysWhy) {
  service.model_admin->error = Error(Code::kFailedPrecondition, "version 4: canary: 1 of 36 answers differ", "version");
  const auto reply = manage(kLoad, "{}");
  EXPECT_EQ(reply.first, 400);
  EXPECT_THAT(error_of(reply), HasSubstr("version 4: canary"));
  service.model_admin->error = Error(Code::kResourceExhausted, "version: memory is short", "version");
  EXPECT_EQ(manage(kLoad, "{}").first, 429);
  EXPECT_EQ(service.wait_for_finished(2).at(1).code, "429");
}

TEST_F(KserveRepositoryTest, WhileNothingIsServedTheModelIsNotReady) {
  start();
  service.published = service.ready = false;
  service.model_admin->unloaded = true;
  for (const char* path : {"/v2/models/sparsefusion/ready", "/v2/models/sparsefusion", "/v2/health/ready"}) {
    EXPECT_EQ(client->Get(path)->status, 503) << path;
  }
  EXPECT_EQ(manage(kLoad, "{}").first, 200);
}

}  // namespace
}  // namespace sf::server
