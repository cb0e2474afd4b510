#include <gmock/gmock.h>

#include "server/http/access.h"
#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;
using ::testing::IsEmpty;

class ApiKeysHttpTest : public HttpFixture {
 protected:
  void SetUp() override { start({.keys = &keys_}); }
  static httplib::Headers with(const std::string& key) { return {{"Authorization", "Bearer " + key}}; }
  int get(const std::string& path, const httplib::Headers& headers = {}) { return client->Get(path, headers)->status; }
  int post(const std::string& path, const std::string& body, const httplib::Headers& headers = {}) {
    return client->Post(path, headers, body, "application/json")->status;
  }

  double now_s_ = 0;
  KeyRing keys_{parse_api_keys("alice " + hash_api_key("infer-key") + " infer 2\n" + "ops " +
                               hash_api_key("admin-key") + " admin\n"),
                [this] { return now_s_; }};
};

// Every route there is, and some there are not: a route that somebody adds is closed until somebody opens it.
TEST_F(ApiKeysHttpTest, WithoutAKeyOnlyHealthAndThePageAnswer) {
  for (const char* path : {"/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/health", "/v1/health",
                           "/ping", "/", "/app.js", "/style.css", "/v2/health/live/", "//", "//healthz"}) {
    EXPECT_EQ(get(path), 200) << path;
    EXPECT_EQ(get(path, with("wrong")), 200) << path;
  }
  for (const char* path : {"/v1/models", "/v1/models/sparsefusion", "/v1/versions", "/v1/experts", "/metrics",
                           "/v1/answer", "/v1/admin/load", "/openapi.json", "/v2", "/v2/models/sparsefusion",
                           "/v2/health", "/v2/health/../models", "/v1//models/", "/nothing", "/HEALTHZ"}) {
    const httplib::Result result = client->Get(path);
    EXPECT_EQ(result->status, 401) << path;
    EXPECT_EQ(result->get_header_value("WWW-Authenticate"), "Bearer") << path;
    EXPECT_EQ(get(path, with("wrong")), 401) << path;
  }
  for (const char* path : {"/v1/answer", "/v1/chat/completions", "/v1/explain", "/v1/admin/load", "/v1/admin/pin",
                           "/v1/admin/unpin", "/v1/admin/rollback", "/v2/models/sparsefusion/infer",
                           "/v2/repository/index", "/v2/repository/models/sparsefusion/load", "/healthz", "/"}) {
    EXPECT_EQ(post(path, "{}"), 401) << path;
    EXPECT_EQ(post(path, "{}", with("wrong")), 401) << path;
  }
  for (const char* method : {"PUT", "DELETE", "PATCH", "OPTIONS"}) {
    httplib::Request request;
    request.method = method;
    request.path = "/v1/models";
    EXPECT_EQ(client->send(request)->status, 401) << method;
  }
  EXPECT_THAT(service.requests(), IsEmpty());
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(ApiKeysHttpTest, AKeyMayDoWhatItsScopeSays) {
  EXPECT_EQ(get("/v1/models", with("infer-key")), 200);
  EXPECT_EQ(get("/v1/versions", with("admin-key")), 200);
  EXPECT_EQ(get("/metrics", with("infer-key")), 200);
  EXPECT_EQ(post("/v1/admin/pin", "{}", with("infer-key")), 403);
  EXPECT_EQ(post("/v1/admin/pin", "{}", with("admin-key")), 200);
  EXPECT_EQ(post("/v1/answer", question().dump(), with("admin-key")), 403);
  EXPECT_EQ(post("/v1/answer", question().dump(), with("infer-key")), 200);
  EXPECT_EQ(service.requests().at(0).tenant, "alice");
  EXPECT_EQ(service.wait_for_rejected(2).at(0).reason, "permission_denied");
  EXPECT_EQ(service.rejected().at(0).code, "403");
}

TEST_F(ApiKeysHttpTest, TheKeyMayComeInXApiKey) {
  const auto alone = [](const std::string& key) { return httplib::Headers{{"X-Api-Key", key}}; };
  EXPECT_EQ(get("/v1/models", alone("infer-key")), 200);
  EXPECT_EQ(get("/v1/models", alone("wrong")), 401);
  EXPECT_EQ(get("/v1/models", alone("")), 401);
  EXPECT_EQ(get("/v1/models", alone("Bearer infer-key")), 401);
  EXPECT_EQ(post("/v1/answer", question().dump(), alone("infer-key")), 200);
  EXPECT_EQ(service.requests().at(0).tenant, "alice");
  EXPECT_EQ(post("/v1/admin/pin", "{}", alone("infer-key")), 403);
  AdminServer admin({.port = 0, .keys = &keys_}, service);
  admin.start();
  httplib::Client manager("127.0.0.1", admin.port());
  EXPECT_EQ(manager.Get("/v1/versions", alone("admin-key"))->status, 200);
}

TEST_F(ApiKeysHttpTest, TwoKeysInOneRequestAreNone) {
  const std::string both = "Bearer infer-key";
  EXPECT_EQ(get("/v1/models", {{"Authorization", both}, {"X-Api-Key", "infer-key"}}), 200);
  EXPECT_EQ(get("/v1/models", {{"Authorization", both}, {"X-Api-Key", "admin-key"}}), 401);
  EXPECT_EQ(get("/v1/models", {{"Authorization", both}, {"X-Api-Key", "wrong"}}), 401);
  EXPECT_EQ(get("/v1/models", {{"Authorization", "Basic x"}, {"X-Api-Key", "infer-key"}}), 401);
  EXPECT_EQ(get("/v1/models", {{"X-Api-Key", "infer-key"}, {"X-Api-Key", "admin-key"}}), 401);
  EXPECT_EQ(get("/v1/models", {{"Authorization", both}, {"Authorization", both}}), 401);
  EXPECT_EQ(get("/healthz", {{"Authorization", both}, {"X-Api-Key", "wrong"}}), 200);
}

TEST_F(ApiKeysHttpTest, SaysWhatIsWrongAsOpenAiDoes) {
  const json error = json::parse(client->Get("/v1/models", with("wrong"))->body)["error"];
  EXPECT_EQ(error["code"], "invalid_api_key");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_TRUE(error["param"].is_null());
}

TEST_F(ApiKeysHttpTest, ChatCompletionsTakeTheKeyOfOpenAisClients) {
  const json body = {{"messages", {{{"role", "user"}, {"content", "what shape?"}}}}};
  EXPECT_EQ(post("/v1/chat/completions", body.dump(), with("infer-key")), 200);
  EXPECT_EQ(service.requests().at(0).tenant, "alice");
}

TEST_F(ApiKeysHttpTest, AboveItsRateAKeyGets429AndTheTimeToWait) {
  const std::string body = question().dump();
  EXPECT_EQ(post("/v1/answer", body, with("infer-key")), 200);
  EXPECT_EQ(post("/v1/answer", body, with("infer-key")), 200);
  const httplib::Result result = client->Post("/v1/answer", with("infer-key"), body, "application/json");
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(result->get_header_value("Retry-After"), "30");
  const json error = json::parse(result->body)["error"];
  EXPECT_EQ(error["type"], "requests");
  EXPECT_EQ(error["code"], "rate_limit_exceeded");
  EXPECT_EQ(service.wait_for_rejected(1).at(0).reason, "rate_limit");
  EXPECT_EQ(get("/v1/models", with("infer-key")), 200);
  now_s_ += 30;
  EXPECT_EQ(post("/v1/answer", body, with("infer-key")), 200);
}

TEST_F(ApiKeysHttpTest, TheManagementPortAsksToo) {
  AdminServer admin({.port = 0, .keys = &keys_}, service);
  admin.start();
  httplib::Client manager("127.0.0.1", admin.port());
  EXPECT_EQ(manager.Get("/metrics")->status, 200);
  EXPECT_EQ(manager.Get("/healthz")->status, 200);
  EXPECT_EQ(manager.Get("/v1/versions")->status, 401);
  EXPECT_EQ(manager.Post("/v1/admin/unpin", "{}", "application/json")->status, 401);
  EXPECT_EQ(manager.Post("/v1/admin/unpin", with("infer-key"), "{}", "application/json")->status, 403);
  EXPECT_EQ(manager.Post("/v1/admin/unpin", with("admin-key"), "{}", "application/json")->status, 200);
}

TEST(AccessTest, WhatNobodyNamedNeedsAKey) {
  EXPECT_EQ(access_of("GET", "/healthz"), Access::kPublic);
  EXPECT_EQ(access_of("POST", "/healthz"), Access::kInfer);
  EXPECT_EQ(access_of("DELETE", "/"), Access::kAnyKey);
  EXPECT_EQ(access_of("GET", "/new"), Access::kAnyKey);
  EXPECT_EQ(access_of("POST", "/new"), Access::kInfer);
  EXPECT_EQ(access_of("GET", "/v1/admin/new"), Access::kAdmin);
  EXPECT_EQ(access_of("POST", "/v2/repository/models/m/unload"), Access::kAdmin);
}

class CorsTest : public HttpFixture {};

TEST_F(CorsTest, PagesOfOtherOriginsMayCallOnlyWhereTheyAreNamed) {
  start({.cors_origins = {"https://app.example"}});
  const auto ask = [&](const std::string& origin) {
    return client->Get("/v1/models", httplib::Headers{{"Origin", origin}})
        ->get_header_value("Access-Control-Allow-Origin");
  };
  EXPECT_EQ(ask("https://app.example"), "https://app.example");
  EXPECT_EQ(ask("https://evil.example"), "");
  const httplib::Headers asks = {{"Origin", "https://app.example"}, {"Access-Control-Request-Method", "POST"}};
  const httplib::Result preflight = client->Options("/v1/answer", asks);
  EXPECT_EQ(preflight->status, 204);
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Methods"), "GET, POST");
}

// The OpenAI client in a page sends X-Stainless-* with every request.
TEST_F(CorsTest, APageMaySendTheHeadersOfItsClientAndReadOurs) {
  start({.cors_origins = {"https://app.example"}});
  const auto preflight = [&](const std::string& origin) {
    return client->Options("/v1/chat/completions",
                           {{"Origin", origin},
                            {"Access-Control-Request-Method", "POST"},
                            {"Access-Control-Request-Headers", "authorization, x-stainless-os"}});
  };
  EXPECT_EQ(preflight("https://app.example")->get_header_value("Access-Control-Allow-Headers"),
            "authorization, x-stainless-os");
  EXPECT_FALSE(preflight("https://evil.example")->has_header("Access-Control-Allow-Headers"));
  const httplib::Result answer = client->Get("/v1/models", httplib::Headers{{"Origin", "https://app.example"}});
  EXPECT_NE(answer->get_header_value("Access-Control-Expose-Headers").find("Inference-Header-Content-Length"),
            std::string::npos);
}

TEST_F(CorsTest, ByDefaultNoOtherPageMayCall) {
  start();
  const httplib::Result result = client->Get("/v1/models", httplib::Headers{{"Origin", "https://app.example"}});
  EXPECT_FALSE(result->has_header("Access-Control-Allow-Origin"));
}

}  // namespace
}  // namespace sf::server
