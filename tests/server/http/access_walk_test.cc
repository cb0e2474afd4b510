// Deny by default, walked: every path that openapi.json names and every route that a port has, by every method, with
// and without a slash behind it, without a key, with a wrong one and with one of the wrong scope.
#include <set>

#include "server/http/access.h"
#include "server/http/admin_server.h"
#include "server/http/page.h"
#include "server/web/web_files.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

const std::set<std::string> kHealth = {"/v2/health/live", "/v2/health/ready", "/healthz", "/readyz",
                                       "/health",         "/v1/health",       "/ping"};

// "/v2/models/{model}/infer" and "/v2/models/:model/infer" with a name in them.
std::string filled(const std::string& pattern) {
  std::string path;
  for (size_t begin = 1; begin <= pattern.size();) {
    const size_t end = std::min(pattern.find('/', begin), pattern.size());
    const std::string segment = pattern.substr(begin, end - begin);
    const bool parameter = segment.starts_with(':') || segment.starts_with('{');
    path += "/" + (parameter ? "sparsefusion" : segment);
    begin = end + 1;
  }
  return path.empty() ? "/" : path;
}

std::set<std::string> documented_paths() {
  std::set<std::string> paths;
  for (const WebFile& file : web_files()) {
    if (file.path != std::string_view("/openapi.json")) continue;
    const nlohmann::json document = nlohmann::json::parse(file.content);
    for (const auto& [path, methods] : document.at("paths").items()) paths.insert(filled(path));
  }
  return paths;
}

class AccessWalkTest : public HttpFixture {
 protected:
  int ask(httplib::Client& port, const std::string& method, const std::string& path, const std::string& key = "") {
    httplib::Request request;
    request.method = method;
    request.path = path;
    if (!key.empty()) request.set_header("Authorization", "Bearer " + key);
    if (method == "POST") {
      request.body = "{}";
      request.set_header("Content-Type", "application/json");
    }
    const httplib::Result result = port.send(request);
    return result ? result->status : 0;
  }
  void expect_closed(httplib::Client& port, const std::set<std::string>& paths, const std::set<std::string>& open) {
    for (const std::string& plain : paths) {
      for (const std::string& path : {plain, plain + "/", "/" + plain}) {
        for (const char* method : {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"}) {
          const bool reads = method == std::string("GET") || method == std::string("HEAD");
          for (const char* key : {"", "wrong"}) {
            const int status = ask(port, method, path, key);
            if (reads && open.contains(plain)) {  // slashes too many mean the same route
              EXPECT_EQ(status, 200) << method << " " << path;
            } else {
              EXPECT_EQ(status, 401) << method << " " << path;
            }
          }
        }
      }
    }
  }

  KeyRing keys_{parse_api_keys("alice " + hash_api_key("infer-key") + " infer\n" + "ops " + hash_api_key("admin-key") +
                               " admin\n"),
                [] { return 0.0; }};
};

TEST_F(AccessWalkTest, NothingButHealthAndThePageAnswersWithoutAKey) {
  start({.keys = &keys_});
  std::set<std::string> paths = documented_paths(), open = kHealth;
  ASSERT_GE(paths.size(), 25u);
  for (const std::string& route : server().routes()) paths.insert(filled(route.substr(route.find('/'))));
  for (const WebFile& file : web_files()) {
    if (file.path != std::string_view("/openapi.json")) open.insert(std::string(file.path));
  }
  open.insert(kPageFacts);
  expect_closed(*client, paths, open);
  EXPECT_TRUE(service.requests().empty());
  EXPECT_TRUE(service.model_admin->commands().empty());
}

TEST_F(AccessWalkTest, TheManagementPortIsClosedButForHealthAndItsScrape) {
  AdminServer admin({.port = 0, .keys = &keys_}, service);
  admin.start();
  httplib::Client manager("127.0.0.1", admin.port());
  std::set<std::string> paths = documented_paths();
  paths.erase("/metrics");  // for the operator's own scraper
  paths.erase("/");         // the page, which this port has not: 404
  std::set<std::string> open = kHealth;
  expect_closed(manager, paths, open);
  EXPECT_EQ(ask(manager, "GET", "/metrics"), 200);
  EXPECT_TRUE(service.model_admin->commands().empty());
}

TEST_F(AccessWalkTest, EveryPostNeedsItsOwnScope) {
  start({.keys = &keys_});
  int num_posts = 0;
  for (const std::string& route : server().routes()) {
    const std::string path = filled(route.substr(route.find('/')));
    if (!route.starts_with("POST ") || access_of("POST", path) == Access::kAnyKey) continue;
    const bool command = access_of("POST", path) == Access::kAdmin;
    const auto refusal = [&](const char* key) {
      const httplib::Headers headers = {{"Authorization", std::string("Bearer ") + key}};
      const httplib::Result result = client->Post(path, headers, "{}", "application/json");
      return std::to_string(result->status) + result->body;
    };
    const std::string wrong = refusal(command ? "infer-key" : "admin-key");
    EXPECT_TRUE(wrong.starts_with("403")) << path << ": " << wrong;
    EXPECT_NE(wrong.find("has no scope"), std::string::npos) << path << ": " << wrong;
    EXPECT_EQ(refusal(command ? "admin-key" : "infer-key").find("has no scope"), std::string::npos) << path;
    ++num_posts;
  }
  EXPECT_GE(num_posts, 8);
}

}  // namespace
}  // namespace sf::server
