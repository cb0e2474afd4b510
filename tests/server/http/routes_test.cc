#include <thread>

#include "server/http/admin_server.h"
#include "server/http/host_check.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class RoutesTest : public HttpFixture {};

TEST_F(RoutesTest, ReportsHealth) {
  start();
  for (const char* path :
       {"/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/health", "/v1/health", "/ping"}) {
    EXPECT_EQ(client->Get(path)->status, 200) << path;
    const httplib::Result head = client->Head(path);
    EXPECT_EQ(head->status, 200) << path;
    EXPECT_EQ(head->body, "");
  }
  service.ready = false;
  EXPECT_EQ(client->Get("/v2/health/ready")->status, 503);
  for (const char* path : {"/readyz", "/health", "/v1/health", "/ping"}) {
    EXPECT_EQ(client->Get(path)->status, 503) << path;
  }
  EXPECT_EQ(client->Get("/healthz")->status, 200);
  service.live = false;
  EXPECT_EQ(client->Get("/healthz")->status, 503);
}

TEST_F(RoutesTest, TellsItsVersion) {
  start({.program_version = "1.2.3"});
  EXPECT_EQ(json::parse(client->Get("/version")->body), json({{"version", "1.2.3"}}));
}

TEST_F(RoutesTest, EveryAnswerHasARequestId) {
  start();
  for (const char* path : {"/healthz", "/metrics", "/v1/models", "/v1/versions", "/version", "/v2", "/", "/nope"}) {
    const httplib::Result made = client->Get(path);
    EXPECT_EQ(made->get_header_value_count("X-Request-Id"), 1u) << path;
    EXPECT_FALSE(made->get_header_value("X-Request-Id").empty()) << path;
    const httplib::Result echoed = client->Get(path, httplib::Headers{{"X-Request-Id", "mine"}});
    EXPECT_EQ(echoed->get_header_value("X-Request-Id"), "mine") << path;
    EXPECT_TRUE(client->Head(path)->has_header("X-Request-Id")) << path;
    EXPECT_TRUE(client->Options(path)->has_header("X-Request-Id")) << path;
  }
  EXPECT_EQ(post_json(question())->get_header_value_count("X-Request-Id"), 1u);
  EXPECT_EQ(post_json({})->get_header_value_count("X-Request-Id"), 1u);
}

TEST_F(RoutesTest, ServesMetricsAsPrometheusText) {
  start();
  const httplib::Result result = client->Get("/metrics");
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(result->body.find("fake_total 1\n"), std::string::npos);
}

TEST_F(RoutesTest, AnswersUnknownRoutesInTheirApisForm) {
  start();
  for (const char* path :
       {"/nope", "/v1/completions", "/v1/answers/", "/v1//nope", "/v1/models/a/b", "/v1", "/../etc"}) {
    const httplib::Result result = client->Get(path);
    ASSERT_TRUE(result) << path;
    EXPECT_EQ(result->status, 404) << path;
    EXPECT_TRUE(json::parse(result->body)["error"]["message"].is_string()) << path;
  }
  EXPECT_TRUE(json::parse(client->Get("/v2/models/x/infer")->body)["error"].is_string());
  const httplib::Result post = client->Post("/v1/embeddings", "{}", "application/json");
  EXPECT_EQ(post->status, 404);
  EXPECT_TRUE(post->has_header("X-Request-Id"));
  EXPECT_EQ(service.wait_for_rejected(9).back().reason, "not_found");
}

TEST_F(RoutesTest, AnswersWrongMethodsWithAllow) {
  start();
  const httplib::Result get = client->Get("/v1/answer");
  EXPECT_EQ(get->status, 405);
  EXPECT_EQ(get->get_header_value("Allow"), "POST");
  EXPECT_TRUE(json::accept(get->body));
  EXPECT_EQ(client->Head("/v1/answer")->status, 405);
  EXPECT_EQ(client->Put("/v1/answer", "{}", "application/json")->status, 405);
  for (const char* path : {"/metrics", "/healthz", "/v1/models", "/v1/models/sparsefusion", "/"}) {
    const httplib::Result post = client->Post(path, "{}", "application/json");
    EXPECT_EQ(post->status, 405) << path;
    EXPECT_EQ(post->get_header_value("Allow"), "GET, HEAD") << path;
    EXPECT_EQ(client->Delete(path)->status, 405) << path;
  }
  const httplib::Result options = client->Options("/v1/answer");
  EXPECT_EQ(options->status, 204);
  EXPECT_EQ(options->get_header_value("Allow"), "POST");
}

// A part of an answer is none: neither a question's nor a page's is ever cut up.
TEST_F(RoutesTest, IgnoresRange) {
  start();
  for (const char* range : {"bytes=0-3", "bytes=-2", "bytes=0-0,2-3", "bytes=999999-"}) {
    const httplib::Headers headers = {{"Range", range}};
    const httplib::Result answer = post_json(question(), headers);
    EXPECT_EQ(answer->status, 200) << range;
    EXPECT_EQ(json::parse(answer->body)["answer"], "circle") << range;
    const httplib::Result metrics = client->Get("/metrics", headers);
    EXPECT_EQ(metrics->status, 200) << range;
    EXPECT_EQ(metrics->body, service.metrics_text()) << range;
    EXPECT_FALSE(metrics->has_header("Content-Range")) << range;
  }
  EXPECT_EQ(client->Get("/metrics", httplib::Headers{{"Range", "bytes=3-1"}})->status, 400);
}

TEST_F(RoutesTest, ServesThePageUnderAStrictPolicy) {
  start();
  const httplib::Result page = client->Get("/");
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  const std::string policy = page->get_header_value("Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(page->body.find("://"), std::string::npos);
  EXPECT_EQ(client->Get("/app.js")->get_header_value("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(client->Get("/style.css")->status, 200);
  const std::string tag = page->get_header_value("ETag");
  EXPECT_EQ(client->Get("/", httplib::Headers{{"If-None-Match", tag}})->status, 304);
}

TEST_F(RoutesTest, LeavesThePageOutWhenTold) {
  start({.ui = false});
  EXPECT_EQ(client->Get("/")->status, 404);
}

TEST_F(RoutesTest, ClosesKeptConnectionsWhileDraining) {
  start();
  client->set_keep_alive(true);
  EXPECT_NE(client->Get("/healthz")->get_header_value("Connection"), "close");
  server().drain();
  EXPECT_EQ(client->Get("/healthz")->get_header_value("Connection"), "close");
}

TEST_F(RoutesTest, RefusesATakenPort) {
  start();
  HttpServer second({.port = port()}, service);
  try {
    second.start();
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_NE(std::string(error.what()).find(std::to_string(port())), std::string::npos);
  }
}

TEST(AdminServerTest, ServesMetricsAndHealthOnly) {
  FakeService service;
  AdminServer admin({.port = 0}, service);
  admin.start();
  httplib::Client client("127.0.0.1", admin.port());
  EXPECT_EQ(client.Get("/metrics")->status, 200);
  EXPECT_EQ(client.Get("/v2/health/live")->status, 200);
  EXPECT_EQ(client.Get("/v1/models")->status, 404);
  EXPECT_EQ(client.Post("/v1/answer", "{}", "application/json")->status, 404);
  EXPECT_TRUE(service.rejected().empty());
}

TEST(AdminServerTest, RefusesForeignHostsAndOrigins) {
  FakeService service;
  AdminServer admin({.port = 0, .allowed_hosts = {"sf-server"}}, service);
  admin.start();
  httplib::Client client("127.0.0.1", admin.port());
  for (const char* host :
       {"localhost:8002", "127.0.0.1", "[::1]:8002", "10.1.2.3:8002", "sf-server", "SF-Server:8002"}) {
    EXPECT_EQ(client.Get("/metrics", httplib::Headers{{"Host", host}})->status, 200) << host;
  }
  for (const char* host :
       {"evil.example", "evil.example:8002", "localhost.evil.example", "127.0.0.1.evil.example", "a@localhost"}) {
    EXPECT_EQ(client.Get("/metrics", httplib::Headers{{"Host", host}})->status, 403) << host;
  }
  EXPECT_EQ(client.Get("/metrics", httplib::Headers{{"Origin", "http://evil.example"}})->status, 403);
  EXPECT_EQ(client.Get("/metrics", httplib::Headers{{"Origin", "null"}})->status, 403);
  EXPECT_EQ(client.Get("/metrics", httplib::Headers{{"Origin", "http://localhost:8002"}})->status, 403)
      << "another port of this machine";
  const auto status_of = [&](const char* origin) {
    return client.Get("/metrics", httplib::Headers{{"Host", "127.0.0.1:8002"}, {"Origin", origin}})->status;
  };
  for (const char* own : {"http://127.0.0.1:8002", "https://sf-server", "http://SF-Server:9"})
    EXPECT_EQ(status_of(own), 200) << own;
  for (const char* foreign :
       {"http://203.0.113.5", "http://127.0.0.1:9", "http://127.0.0.1", "http://[2001:db8::1]", "127.0.0.1:8002"})
    EXPECT_EQ(status_of(foreign), 403) << foreign;
}

TEST(HostCheckTest, TakesAuthoritiesApart) {
  EXPECT_EQ(host_of_authority("Name:80"), "name");
  EXPECT_EQ(host_of_authority("[::1]"), "::1");
  EXPECT_EQ(host_of_authority("[::1]:80"), "::1");
  for (const char* bad : {"", "[::1", "[::1]x", "name:", "name:80x", "::1", "name:123456", ":80"}) {
    EXPECT_EQ(host_of_authority(bad), "") << bad;
  }
}

// Every front thread waits for an answer; the management port has threads of its own.
TEST_F(RoutesTest, AdminAnswersWhileThePublicPortIsSaturated) {
  service.hang_before_text = true;
  HttpOptions options;
  options.limits.max_batch = 1;
  options.limits.max_queue_requests = 1;
  start(options);
  AdminServer admin({.port = 0}, service);
  admin.start();
  const int num_threads = options.limits.num_frontend_threads();
  std::vector<std::unique_ptr<RawConnection>> waiting;
  const std::string body = question().dump();
  for (int i = 0; i < num_threads; ++i) {
    waiting.push_back(std::make_unique<RawConnection>(port()));
    waiting.back()->send(
        "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  ASSERT_EQ(service.wait_for_submitted(num_threads), num_threads);
  httplib::Client admin_client("127.0.0.1", admin.port());
  EXPECT_EQ(admin_client.Get("/metrics")->status, 200);
  EXPECT_EQ(admin_client.Get("/readyz")->status, 200);
  waiting.clear();
  EXPECT_EQ(service.wait_for_cancelled(num_threads), num_threads);
}

TEST_F(RoutesTest, AMethodThatHttplibDoesNotKnowIsNotAllowed) {
  start();
  RawConnection connection(port());
  connection.send("QUERY /v1/answer?x=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}");
  const std::string answer = connection.read_all();
  EXPECT_NE(answer.find(" 405 "), std::string::npos) << answer;
  EXPECT_NE(answer.find("Allow: POST\r\n"), std::string::npos) << answer;
  RawConnection other(port());
  other.send("QU<ERY /v1/answer HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_NE(other.read_all().find(" 400 "), std::string::npos);
}

}  // namespace
}  // namespace sf::server
