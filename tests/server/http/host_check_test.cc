#include "server/http/host_check.h"

#include <gtest/gtest.h>

#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

TEST(HostCheckTest, AnAuthorityIsAHostAndAPort) {
  const auto host_of = [](const char* text) {
    const std::optional<Authority> authority = parse_authority(text);
    if (!authority) return std::string("malformed");
    return authority->host + (authority->port ? " " + std::to_string(*authority->port) : "") +
           (authority->is_address ? " address" : "");
  };
  EXPECT_EQ(host_of("LocalHost:8000"), "localhost 8000");
  EXPECT_EQ(host_of("localhost."), "localhost");
  EXPECT_EQ(host_of("127.0.0.1:80"), "127.0.0.1 80 address");
  EXPECT_EQ(host_of("[::1]:8000"), "::1 8000 address");
  EXPECT_EQ(host_of("[::1]"), "::1 address");
  EXPECT_EQ(host_of("[FE80::1%25eth0]:8000"), "fe80::1 8000 address");
  EXPECT_EQ(host_of("my_host-1.example:0"), "my_host-1.example 0");
  for (const char* text : {"",
                           ".",
                           ":8000",
                           "::1",
                           "[::1",
                           "[localhost]",
                           "[]",
                           "[127.0.0.1]",
                           "host:",
                           "host:x",
                           "host:65536",
                           "host:-1",
                           "host:8000:8000",
                           "user@host",
                           "user:pass@localhost",
                           "localhost/x",
                           "localhost:80/x",
                           "local host",
                           "localhost\t",
                           "localhost, evil",
                           "[::1]x",
                           "[::1]8000",
                           "h\xc3\xb6st",
                           "localhost%00",
                           "*"}) {
    EXPECT_EQ(host_of(text), text == std::string(".") ? "." : "malformed") << text;
  }
}

TEST(HostCheckTest, LoopbackIsWhatOnlyThisMachineReaches) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0", "::", "10.0.0.1", "127.example.com", "1.127.0.0", "localhost.example", "", "::2"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

TEST(HostCheckTest, OnlyNamesCanBeForeign) {
  const std::vector<std::string> allowed = {"Server", "api.example:8443"};
  for (const char* host : {"localhost", "localhost:1", "LOCALHOST.:8000", "127.0.0.1", "192.168.1.9:8000", "[::1]:8000",
                           "[2001:db8::1]", "server", "SERVER.:8000", "api.example:8443"}) {
    EXPECT_TRUE(is_own_host(host, allowed)) << host;
  }
  for (const char* host :
       {"", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "evil@127.0.0.1",
        "0x7f.1", "127.1", "2130706433", "server.evil", "api.example", "foo.localhost"}) {
    EXPECT_FALSE(is_own_host(host, allowed)) << host;
  }
}

TEST(HostCheckTest, AnOriginIsOwnWhereHostAndPortAreTheVerySame) {
  const auto own = [](const char* origin, const char* host) { return is_own_origin(origin, host); };
  EXPECT_TRUE(own("", "localhost:8000"));
  EXPECT_TRUE(own("http://localhost:8000", "localhost:8000"));
  EXPECT_TRUE(own("HTTP://LocalHost:8000", "localhost.:8000"));
  EXPECT_TRUE(own("http://[::1]:8000", "[::1]:8000"));
  EXPECT_TRUE(own("https://api.example", "api.example"));
  EXPECT_TRUE(own("https://api.example", "api.example:443"));
  EXPECT_TRUE(own("http://api.example:80", "api.example"));
  for (const char* origin : {"null", "http://localhost", "http://localhost:8001", "http://127.0.0.1:8000",
                             "http://evil.example", "http://user@localhost:8000", "http://localhost:8000/",
                             "http://localhost:8000.evil.example", "localhost:8000", "http://", "file://",
                             "ftp://localhost:8000", "chrome-extension://localhost:8000", "https://localhost", "://"}) {
    EXPECT_FALSE(own(origin, "localhost:8000")) << origin;
  }
  EXPECT_FALSE(own("http://localhost:8000", ""));
  EXPECT_FALSE(own("http://x", "x:443")) << "http means 80";
}

class PublicHostTest : public HttpFixture {
 protected:
  int get(const httplib::Headers& headers, const char* path = "/v1/models") {
    return client->Get(path, headers)->status;
  }
  int ask(const httplib::Headers& headers) { return post_json(question(), headers)->status; }
  std::string here() const { return "127.0.0.1:" + std::to_string(port()); }
};

TEST_F(PublicHostTest, OnLoopbackAReboundNameReachesNothing) {
  HttpOptions options;
  options.allowed_hosts = {"vqa.test"};
  start(options);
  for (const char* path : {"/v1/models", "/", "/metrics", "/healthz", "/openapi.json"}) {
    EXPECT_EQ(get({{"Host", "evil.example"}}, path), 403) << path;
    EXPECT_EQ(get({{"Host", "localhost:9"}}, path), 200) << path;
  }
  EXPECT_EQ(get({{"Host", "VQA.test.:1"}}), 200);
  EXPECT_EQ(get({{"Host", "[::1]:1"}}), 200);
  EXPECT_EQ(get({{"Host", "10.1.2.3"}}), 200);
  EXPECT_EQ(get({{"Host", "evil@127.0.0.1"}}), 403);
  EXPECT_EQ(ask({{"Host", "evil.example"}}), 403);
  EXPECT_EQ(ask({}), 200);
  EXPECT_EQ(get({{"Host", here()}, {"Host", "evil.example"}}), 400);
  const auto body = nlohmann::json::parse(client->Get("/v1/models", httplib::Headers{{"Host", "evil.example"}})->body);
  EXPECT_TRUE(body.at("error").at("message").get<std::string>().starts_with("Host: ")) << body;
}

TEST_F(PublicHostTest, APageOfAnotherOriginMayNotAsk) {
  start();
  EXPECT_EQ(ask({{"Origin", "http://" + here()}}), 200);
  for (const char* origin : {"null", "https://evil.example", "http://localhost", "http://127.0.0.1", "file://", "x"}) {
    EXPECT_EQ(ask({{"Origin", origin}}), 403) << origin;
    EXPECT_EQ(get({{"Origin", origin}}), 200) << "a page cannot read the answer: " << origin;
    for (const char* type : {"text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"}) {
      EXPECT_EQ(client->Post("/v1/answer", httplib::Headers{{"Origin", origin}}, "{}", type)->status, 403) << type;
    }
  }
  EXPECT_EQ(ask({{"Origin", "http://" + here()}, {"Origin", "https://evil.example"}}), 403);
}

TEST_F(PublicHostTest, ANamedOriginMayAsk) {
  HttpOptions options;
  options.cors_origins = {"https://app.example"};
  start(options);
  EXPECT_EQ(ask({{"Origin", "https://app.example"}}), 200);
  EXPECT_EQ(ask({{"Origin", "https://app.example.evil"}}), 403);
  EXPECT_EQ(ask({{"Origin", "null"}}), 403);
}

TEST_F(PublicHostTest, WithAnyOriginNamedEveryPageMayAsk) {
  HttpOptions options;
  options.cors_origins = {"*"};
  start(options);
  EXPECT_EQ(ask({{"Origin", "https://any.example"}}), 200);
  EXPECT_EQ(ask({{"Origin", "null"}}), 200);
}

TEST_F(PublicHostTest, BoundElsewhereAnyHostIsTakenAndForeignOriginsAreNot) {
  HttpOptions options;
  options.host = "0.0.0.0";
  start(options);
  EXPECT_EQ(get({{"Host", "server:8000"}}), 200) << "a compose service's name";
  EXPECT_EQ(ask({{"Host", "server:8000"}}), 200);
  EXPECT_EQ(ask({{"Host", "server:8000"}, {"Origin", "http://server:8000"}}), 200);
  EXPECT_EQ(ask({{"Host", "server:8000"}, {"Origin", "https://evil.example"}}), 403);
  EXPECT_EQ(ask({{"Host", "server:8000"}, {"Origin", "null"}}), 403);
}

TEST_F(PublicHostTest, WithKeysNeitherIsLookedAt) {
  KeyRing keys(parse_api_keys("alice " + hash_api_key("infer-key") + " infer\n"), [] { return 0.0; });
  HttpOptions options;
  options.keys = &keys;
  start(options);
  const httplib::Headers headers = {
      {"Authorization", "Bearer infer-key"}, {"Host", "evil.example"}, {"Origin", "https://evil.example"}};
  EXPECT_EQ(ask(headers), 200);
  EXPECT_EQ(get(headers), 200);
}

TEST_F(PublicHostTest, ARequestOfHttp10WithoutAHostPasses) {
  start();
  RawConnection connection(port());
  connection.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_NE(connection.read_all().find(" 200 "), std::string::npos);
}

}  // namespace
}  // namespace sf::server
