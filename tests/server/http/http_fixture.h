// A server on a free port in front of a FakeService, and requests to it.
#pragma once

#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "server/http/http_server.h"
#include "server/wire/base64.h"
#include "tests/support/fake_service.h"
#include "tests/support/raw_connection.h"

namespace sf::server {

class HttpFixture : public testing::Test {
 protected:
  // REQUIRES: service is set up before.
  void start(HttpOptions options = {}) {
    options.port = 0;
    server_ = std::make_unique<HttpServer>(options, service);
    server_->start();
    client = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client->set_read_timeout(20);
  }
  HttpServer& server() { return *server_; }
  int port() const { return server_->port(); }

  httplib::Result post_json(const nlohmann::json& body, const httplib::Headers& headers = {}) {
    return client->Post("/v1/answer", headers, body.dump(), "application/json");
  }
  static nlohmann::json question(const std::string& image = "picture") {
    return {{"image", encode_base64(image)}, {"question", "what shape?"}};
  }
  // Status and body of the error that `body` leads to.
  std::pair<int, nlohmann::json> refusal(const nlohmann::json& body) {
    const httplib::Result result = post_json(body);
    if (!result) return {0, {}};
    return {result->status, nlohmann::json::parse(result->body)};
  }

  FakeService service;
  std::unique_ptr<httplib::Client> client;

 private:
  std::unique_ptr<HttpServer> server_;
};

}  // namespace sf::server
