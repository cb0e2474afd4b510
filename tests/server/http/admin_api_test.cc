#include <gmock/gmock.h>

#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdminApiTest : public HttpFixture {
 protected:
  AdminApiTest() : admin_({.port = 0}, service) {
    admin_.start();
    manager_ = std::make_unique<httplib::Client>("127.0.0.1", admin_.port());
  }
  std::pair<int, json> tell(const std::string& command, const std::string& body, const httplib::Headers& headers = {},
                            const std::string& type = "application/json") {
    const httplib::Result result = manager_->Post("/v1/admin/" + command, headers, body, type);
    if (!result) return {0, {}};
    return {result->status, json::parse(result->body)};
  }

  AdminServer admin_;
  std::unique_ptr<httplib::Client> manager_;
};

TEST_F(AdminApiTest, ListsVersionsOnBothPorts) {
  start();
  for (httplib::Client* reader : {client.get(), manager_.get()}) {
    const httplib::Result result = reader->Get("/v1/versions");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 200);
    const json data = json::parse(result->body).at("data");
    ASSERT_EQ(data.size(), 3u);
    EXPECT_EQ(data[1], json::parse(R"({"version":3,"state":"served","reason":null,"message":null,"pinned":true,
        "step":300,"created":1700000300,"digest":"abc","score":0.75})"));
    EXPECT_EQ(data[2]["state"], "quarantined");
    EXPECT_EQ(data[2]["reason"], "canary");
    EXPECT_EQ(data[2]["digest"], nullptr);
    EXPECT_EQ(data[2]["score"], nullptr);
  }
}

TEST_F(AdminApiTest, ShowsExpertsByLayerExpertAndModality) {
  start();
  const json body = json::parse(client->Get("/v1/experts")->body);
  EXPECT_EQ(body.at("model_version"), 3);
  ASSERT_EQ(body.at("layers").size(), 2u);
  EXPECT_EQ(body["layers"][0]["window"], nullptr);
  const json layer = body["layers"][1];
  EXPECT_EQ(layer["window"], json::parse(R"({"router_entropy_nats":1.25,"load_imbalance_ratio":2.5,"dead_experts":1,
      "routing_drift_js":0.125})"));
  ASSERT_EQ(layer["experts"].size(), 4u);
  EXPECT_EQ(layer["experts"][2]["image"], json::parse(R"({"tokens":40.0,"gate_mass":20.5,"overflow_tokens":3.0})"));
  EXPECT_EQ(layer["experts"][2]["text"]["tokens"], 10.0);
  service.model_admin->served = false;
  EXPECT_EQ(client->Get("/v1/experts")->status, 503);
}

TEST_F(AdminApiTest, CommandsReachTheModelAndAnswerWithTheList) {
  auto [status, body] = tell("load", R"({"version": 3})");
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body.at("version"), 3);
  EXPECT_EQ(body.at("data").size(), 3u);
  EXPECT_EQ(tell("pin", R"({"version": 2})").first, 200);
  EXPECT_EQ(tell("pin", "{}").second.at("version"), 3);
  EXPECT_EQ(tell("unpin", "").first, 200);
  EXPECT_EQ(tell("rollback", "{}").second.at("version"), 1);
  EXPECT_THAT(service.model_admin->commands(), ElementsAre("load 3", "pin 2", "pin 0", "unpin", "rollback"));
  EXPECT_EQ(service.wait_for_finished(5).at(0).api, "admin");
}

TEST_F(AdminApiTest, WhatIsNoCommandIsRefusedByName) {
  EXPECT_EQ(tell("load", "{}").first, 400);
  EXPECT_EQ(tell("load", R"({"version": 0})").second["error"]["param"], "version");
  EXPECT_EQ(tell("load", R"({"version": "3"})").first, 400);
  EXPECT_EQ(tell("load", R"({"version": 3, "force": true})").second["error"]["param"], "force");
  EXPECT_EQ(tell("rollback", R"({"version": 3})").first, 400);
  EXPECT_EQ(tell("pin", "[").first, 400);
  EXPECT_EQ(tell("explode", "{}").first, 404);
  EXPECT_EQ(manager_->Get("/v1/admin/load")->status, 405);
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(AdminApiTest, AForeignPageCannotSendCommands) {
  EXPECT_EQ(tell("unpin", "{}", {}, "text/plain").first, 415);
  EXPECT_EQ(tell("unpin", "a=b", {}, "application/x-www-form-urlencoded").first, 415);
  EXPECT_EQ(tell("unpin", "{}", {{"Origin", "https://evil.example"}}).first, 403);
  EXPECT_EQ(tell("unpin", "{}", {{"Host", "evil.example"}}).first, 403);
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(AdminApiTest, ARefusedCommandSaysWhy) {
  service.model_admin->error = Error(Code::kFailedPrecondition, "version 4: canary: 1 of 36 answers differ", "version");
  auto [status, body] = tell("load", R"({"version": 4})");
  EXPECT_EQ(status, 400);
  EXPECT_THAT(body["error"]["message"].get<std::string>(), HasSubstr("canary"));
  service.model_admin->error = Error(Code::kNotFound, "version: not in the store, 9", "version");
  EXPECT_EQ(tell("load", R"({"version": 9})").first, 404);
}

TEST_F(AdminApiTest, ThePublicPortHasNoCommandsWithoutKeys) {
  start();
  for (const char* command : {"load", "pin", "unpin", "rollback"}) {
    const httplib::Result result =
        client->Post(std::string("/v1/admin/") + command, R"({"version": 3})", "application/json");
    EXPECT_EQ(result->status, 404) << command;
  }
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

}  // namespace
}  // namespace sf::server
