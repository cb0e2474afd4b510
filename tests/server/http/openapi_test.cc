// openapi.json against the server that it describes: its routes, and every status that a client can bring about.
#include <algorithm>
#include <map>
#include <set>

#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

// "GET /v1/models/{id}".
struct Route {
  std::string method, path;
  json responses;

  std::string target() const {
    static const std::map<std::string, std::string> kValues = {
        {"{id}", "sparsefusion"}, {"{model}", "sparsefusion"}, {"{version}", "3"}};
    std::string target = path;
    for (const auto& [parameter, value] : kValues) {
      if (const size_t at = target.find(parameter); at != std::string::npos) {
        target.replace(at, parameter.size(), value);
      }
    }
    return target;
  }
  bool asks() const {
    return method == "POST" && !path.starts_with("/v1/admin/") && !path.starts_with("/v2/repository");
  }
};

class OpenApiTest : public HttpFixture {
 protected:
  void SetUp() override { start(); }

  json document() {
    const httplib::Result result = client->Get("/openapi.json");
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
    return json::parse(result->body);
  }
  // Without the commands, which this server has with keys only.
  std::vector<Route> routes() {
    std::vector<Route> routes;
    const json whole = document();
    for (const auto& [path, methods] : whole["paths"].items()) {
      if (path.starts_with("/v1/admin/")) continue;
      for (const auto& [method, operation] : methods.items()) {
        routes.push_back({method == "get" ? "GET" : "POST", path, operation["responses"]});
      }
    }
    return routes;
  }
  httplib::Result send(const Route& route, const std::string& method, const httplib::Headers& headers = {},
                       const std::string& body = "{}", const std::string& query = "") {
    httplib::Request request;
    request.method = method;
    request.path = route.target() + query;
    request.headers = headers;
    if (method == "POST") {
      request.body = body;
      request.set_header("Content-Type", "application/json");
    }
    return client->send(request);
  }
  static void expect_described(const Route& route, const httplib::Result& result) {
    ASSERT_TRUE(result) << route.method << " " << route.path;
    SCOPED_TRACE(route.method + " " + route.path + " " + std::to_string(result->status) + ": " + result->body);
    const auto described = route.responses.find(std::to_string(result->status));
    ASSERT_NE(described, route.responses.end());
    if (result->status < 400) return;
    const json body = json::parse(result->body);
    EXPECT_EQ(body["error"].is_string(), route.path.starts_with("/v2"));
    EXPECT_TRUE((*described)["content"].contains("application/json"));
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
  }
  static void expect_status(const Route& route, const httplib::Result& result, int status) {
    ASSERT_TRUE(result) << route.method << " " << route.path;
    EXPECT_EQ(result->status, status) << route.method << " " << route.path;
    expect_described(route, result);
  }
  static json question_for(const Route& route) {
    const std::string image = encode_base64("picture");
    if (route.path.find("generate") != std::string::npos) return {{"IMAGE", image}, {"QUESTION", "what?"}};
    if (route.path == "/v1/chat/completions") return {{"messages", {{{"role", "user"}, {"content", "what?"}}}}};
    if (!route.path.ends_with("/infer")) return {{"image", image}, {"question", "what?"}};
    const auto tensor = [](const char* name, const std::string& value) {
      return json{{"name", name}, {"datatype", "BYTES"}, {"shape", {1}}, {"data", json::array({value})}};
    };
    return {{"inputs", json::array({tensor("IMAGE", image), tensor("QUESTION", "what?")})}};
  }
};

TEST_F(OpenApiTest, NamesEveryRouteAndNoOther) {
  EXPECT_EQ(document()["openapi"], "3.1.0");
  std::set<std::string> described, served = {"GET /"};  // the one file of the page that is a route of the API's
  for (const Route& route : routes()) described.insert(route.method + " " + route.path);
  HttpServer without_page({.port = 0, .ui = false}, service);
  for (std::string route : without_page.routes()) {
    for (size_t at = route.find(':'); at != std::string::npos; at = route.find(':', at)) {
      const size_t end = std::min(route.find('/', at), route.size());
      route.insert(end, 1, '}');
      route[at] = '{';
    }
    served.insert(route);
  }
  EXPECT_EQ(described, served);
}

TEST_F(OpenApiTest, NamesWhatEveryRouteSaysToAMalformedRequest) {
  for (const Route& route : routes()) {
    const std::string other = route.method == "GET" ? "POST" : "GET";
    const httplib::Result wrong_method = send(route, other);
    expect_status(route, wrong_method, 405);
    EXPECT_EQ(wrong_method->get_header_value("Allow"), route.method == "GET" ? "GET, HEAD" : "POST") << route.path;
    const httplib::Result options = send(route, "OPTIONS");
    EXPECT_EQ(options->status, 204) << route.path;
    EXPECT_EQ(options->get_header_value("Allow"), wrong_method->get_header_value("Allow")) << route.path;
    expect_status(route, send(route, route.method, {{"Range", "bytes=3-1"}}), 400);
    expect_status(route, send(route, route.method, {{"Content-Encoding", "br"}}), 415);
    expect_status(route, send(route, route.method, {}, "{}", "?" + std::string(9000, 'q')), 414);
    RawConnection raw(port());
    raw.send(route.method + " " + route.target() +
             " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n");
    EXPECT_NE(raw.read_all().find(" 413 "), std::string::npos) << route.path;
    EXPECT_TRUE(route.responses.contains("413")) << route.path;
    if (route.method == "POST") expect_described(route, send(route, "POST", {}, "{"));
    expect_described(route, send(route, route.method));
    if (route.method == "GET") {
      EXPECT_EQ(send(route, "HEAD")->status, 200) << route.path;
    }
  }
}

// Whatever the service says to a question, on every route that asks one.
TEST_F(OpenApiTest, NamesWhatEveryRouteSaysWhenTheServiceRefuses) {
  const std::vector<std::pair<Error, int>> refusals = {
      {Error(Code::kInvalidArgument, "image: bad", "image"), 400},
      {Error(Code::kInvalidArgument, "image: type", "image", Reason::kUnsupportedType), 415},
      {Error(Code::kNotFound, "model: unknown", "model"), 404},
      {Error(Code::kResourceExhausted, "full"), 429},
      {Error(Code::kResourceExhausted, "large", "image", Reason::kTooLarge), 413},
      {Error(Code::kUnavailable, "draining"), 503},
      {Error(Code::kDeadlineExceeded, "late"), 504},
      {Error(Code::kInternal, "secret"), 500}};
  for (const Route& route : routes()) {
    if (!route.asks()) continue;
    for (const auto& [error, status] : refusals) {
      service.submit_error = error;
      expect_status(route, send(route, "POST", {}, question_for(route).dump()), status);
    }
    service.submit_error.reset();
    const httplib::Result answer = send(route, "POST", {}, question_for(route).dump());
    expect_described(route, answer);
    EXPECT_EQ(answer->status, 200) << route.path << answer->body;
  }
  service.published = false;
  for (const Route& route : routes()) {
    if (route.method == "GET") expect_described(route, send(route, "GET"));
  }
}

TEST_F(OpenApiTest, NamesWhatEveryRouteSaysToKeys) {
  KeyRing keys(parse_api_keys("alice " + hash_api_key("infer-key") + " infer 1\n" + "ops " + hash_api_key("admin-key") +
                              " admin\n"),
               [] { return 0.0; });
  const std::vector<Route> routes = this->routes();
  start({.keys = &keys});
  const auto with = [](const char* key) { return httplib::Headers{{"Authorization", std::string("Bearer ") + key}}; };
  for (const Route& route : routes) {
    const httplib::Result without = send(route, route.method);
    expect_described(route, without);
    EXPECT_EQ(without->status == 401, route.responses.contains("401")) << route.path << without->status;
    if (route.method == "GET") continue;
    expect_described(route, send(route, "POST", with(route.asks() ? "admin-key" : "infer-key")));
    if (!route.asks()) continue;
    EXPECT_EQ(send(route, "POST", with("admin-key"))->status, 403) << route.path;
    send(route, "POST", with("infer-key"));
    expect_status(route, send(route, "POST", with("infer-key")), 429);
  }
}

}  // namespace
}  // namespace sf::server
