// What the log learns of a request: that there is one record for each, with where it came from and what was wrong.
#include <gmock/gmock.h>

#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using ::testing::IsEmpty;

class RequestOriginTest : public HttpFixture {
 protected:
  static httplib::Headers with(const std::string& key) { return {{"Authorization", "Bearer " + key}}; }
  size_t num_records() const { return service.rejected().size() + service.finished().size() + service.logged().size(); }

  double now_s_ = 0;
  KeyRing keys_{parse_api_keys("alice " + hash_api_key("infer-key") + " infer\n" + "ops " + hash_api_key("admin-key") +
                               " infer,admin\n"),
                [this] { return now_s_; }};
};

void expect_origin(const RequestOrigin& origin, const std::string& method, const std::string& route,
                   const std::string& key) {
  EXPECT_EQ(origin.method, method) << route;
  EXPECT_EQ(origin.route, route);
  EXPECT_EQ(origin.path, "") << route;
  EXPECT_EQ(origin.client_address, "127.0.0.1") << route;
  EXPECT_EQ(origin.key_name, key) << route;
}

bool is_probe(const std::string& route) {
  for (const char* path : {"/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/metrics"}) {
    if (route == path) return true;
  }
  return false;
}

// A new route cannot be forgotten: all that are registered are walked.
TEST_F(RequestOriginTest, EveryRequestLeavesOneRecordButProbesScrapesAndThePage) {
  start({.keys = &keys_});
  for (const std::string& name : server().routes()) {
    const size_t space = name.find(' ');
    const std::string method = name.substr(0, space), route = name.substr(space + 1);
    std::string path = route;
    for (const char* parameter : {":model", ":id"}) {
      const size_t at = path.find(parameter);
      if (at != std::string::npos) path.replace(at, std::string(parameter).size(), "sparsefusion");
    }
    if (const size_t at = path.find(":version"); at != std::string::npos) path.replace(at, 8, "3");
    const size_t before = num_records();
    const httplib::Result result = method == "GET" ? client->Get(path, with("admin-key"))
                                                   : client->Post(path, with("admin-key"), "{}", "application/json");
    ASSERT_TRUE(result) << name;
    const bool is_page = method == "GET" && client->Get(path)->status == 200;
    if (is_page || is_probe(route)) continue;
    service.wait_for_recorded(before + 1);
    EXPECT_GE(num_records(), before + 1) << name;
    bool found = false;
    const auto look = [&](const RequestOrigin& origin) {
      found = found || (origin.method == method && origin.route == route && origin.client_address == "127.0.0.1" &&
                        origin.key_name == "ops");
    };
    for (const FakeRecord& record : service.rejected()) look(record.origin);
    for (const FakeRecord& record : service.finished()) look(record.origin);
    for (const RequestRecord& record : service.logged()) look(record.origin);
    EXPECT_TRUE(found) << name;
  }
}

TEST_F(RequestOriginTest, ProbesScrapesAndThePageLeaveNone) {
  start();
  for (const char* path : {"/healthz", "/readyz", "/v2/health/live", "/metrics", "/", "/app.js"}) {
    ASSERT_EQ(client->Get(path)->status, 200) << path;
  }
  EXPECT_EQ(num_records(), 0u);
}

TEST_F(RequestOriginTest, AnAnswerNamesMethodRouteAddressAndKey) {
  start({.keys = &keys_});
  ASSERT_EQ(post_json(question(), with("infer-key"))->status, 200);
  expect_origin(service.wait_for_finished(1).at(0).origin, "POST", "/v1/answer", "alice");
  EXPECT_EQ(service.finished().at(0).field, "");

  nlohmann::json streamed = question();
  streamed["stream"] = true;
  ASSERT_EQ(post_json(streamed, with("infer-key"))->status, 200);
  expect_origin(service.wait_for_finished(2).at(1).origin, "POST", "/v1/answer", "alice");
}

TEST_F(RequestOriginTest, ARefusalNamesTheFieldAtFault) {
  start({.keys = &keys_});
  nlohmann::json body = question();
  body["top_p"] = 7;
  ASSERT_EQ(post_json(body, with("infer-key"))->status, 400);
  const FakeRecord record = service.wait_for_rejected(1).at(0);
  expect_origin(record.origin, "POST", "/v1/answer", "alice");
  EXPECT_EQ(record.field, "top_p");

  service.submit_error = invalid_argument("image", "image: cut short");
  ASSERT_EQ(post_json(question(), with("infer-key"))->status, 400);
  EXPECT_EQ(service.wait_for_finished(1).at(0).field, "image");
}

TEST_F(RequestOriginTest, AKeyThatMayNotIsNamedAndAnUnknownOneIsNot) {
  start({.keys = &keys_});
  ASSERT_EQ(client->Post("/v1/admin/unpin", with("infer-key"), "{}", "application/json")->status, 403);
  expect_origin(service.wait_for_rejected(1).at(0).origin, "POST", "/v1/admin/unpin", "alice");
  ASSERT_EQ(client->Post("/v1/admin/unpin", with("guess"), "{}", "application/json")->status, 401);
  expect_origin(service.wait_for_rejected(2).at(1).origin, "POST", "/v1/admin/unpin", "");
}

TEST_F(RequestOriginTest, AnUnknownRouteIsLoggedByItsPath) {
  start();
  ASSERT_EQ(client->Get("/v1/nothing?question=secret")->status, 404);
  const RequestOrigin origin = service.wait_for_rejected(1).at(0).origin;
  EXPECT_EQ(origin.route, "");
  EXPECT_EQ(origin.path, "/v1/nothing") << "without its query";
}

TEST_F(RequestOriginTest, APreflightIsARequestToo) {
  start({.cors_origins = {"https://app.example"}});
  httplib::Request preflight;
  preflight.method = "OPTIONS";
  preflight.path = "/v1/answer";
  preflight.headers = {{"Origin", "https://app.example"}, {"Access-Control-Request-Method", "POST"}};
  ASSERT_EQ(client->send(preflight)->status, 204);
  service.wait_for_recorded(1);
  ASSERT_EQ(service.logged().size(), 1u);
  expect_origin(service.logged().at(0).origin, "OPTIONS", "/v1/answer", "");
}

TEST_F(RequestOriginTest, AMalformedRequestHasAtLeastAnAddress) {
  start();
  RawConnection connection(port());
  connection.send("GET /v1/models\r\n\r\n");
  connection.read_until("\r\n\r\n");
  EXPECT_EQ(service.wait_for_rejected(1).at(0).origin.client_address, "127.0.0.1");
}

TEST_F(RequestOriginTest, AdminCommandsNameTheKeyOnTheManagementPortToo) {
  AdminServer admin({.port = 0, .keys = &keys_}, service);
  admin.start();
  httplib::Client manager("127.0.0.1", admin.port());
  ASSERT_EQ(manager.Post("/v1/admin/pin", with("admin-key"), R"({"version": 3})", "application/json")->status, 200);
  FakeRecord record = service.wait_for_finished(1).at(0);
  EXPECT_EQ(record.api, "admin");
  expect_origin(record.origin, "POST", "/v1/admin/pin", "ops");

  ASSERT_EQ(manager.Post("/v1/admin/pin", with("admin-key"), R"({"version": -3})", "application/json")->status, 400);
  record = service.wait_for_finished(2).at(1);
  EXPECT_EQ(record.field, "version");
  expect_origin(record.origin, "POST", "/v1/admin/pin", "ops");
}

TEST_F(RequestOriginTest, WhatTheManagementPortRefusesIsLoggedAndNotCounted) {
  AdminServer admin({.port = 0, .keys = &keys_}, service);
  admin.start();
  httplib::Client manager("127.0.0.1", admin.port());
  ASSERT_EQ(manager.Post("/v1/admin/pin", with("infer-key"), "{}", "application/json")->status, 403);
  httplib::Headers foreign = with("admin-key");
  foreign.emplace("Host", "evil.example");
  ASSERT_EQ(manager.Post("/v1/admin/pin", foreign, "{}", "application/json")->status, 403);
  EXPECT_THAT(service.rejected(), IsEmpty());
  service.wait_for_recorded(2);
  const std::vector<RequestRecord> logged = service.logged();
  ASSERT_EQ(logged.size(), 2u);
  EXPECT_EQ(logged[0].api, "admin");
  EXPECT_EQ(logged[0].code, "403");
  EXPECT_EQ(logged[0].reason, "permission_denied");
  expect_origin(logged[0].origin, "POST", "/v1/admin/pin", "alice");
  EXPECT_EQ(logged[1].field, "Host");
  expect_origin(logged[1].origin, "POST", "/v1/admin/pin", "ops");
}

}  // namespace
}  // namespace sf::server
