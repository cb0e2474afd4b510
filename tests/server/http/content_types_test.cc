// No input leads to a 500: every route of both ports, by every method, with every kind of Content-Type and body.
#include <set>

#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

const std::string kForm = "--cut\r\nContent-Disposition: form-data; name=\"question\"\r\n\r\nwhat?\r\n--cut--\r\n";

std::vector<std::vector<std::string>> content_types() {
  return {{},
          {""},
          {"application/json"},
          {"APPLICATION/JSON ; Charset=UTF-8"},
          {"application/json", "multipart/form-data; boundary=cut"},
          {"multipart/form-data; boundary=cut", "application/json"},
          {"multipart/form-data; boundary=cut"},
          {"Multipart/Form-Data; Boundary=\"cut\""},
          {"multipart/form-data"},
          {"multipart/form-data; boundary="},
          {"multipart/form-data; boundary=" + std::string(100, 'x')},
          {"multipart/mixed; boundary=cut"},
          {"application/x-www-form-urlencoded"},
          {"Application/Octet-Stream"},
          {"text/plain"},
          {"image/png"},
          {"/"},
          {";;;="},
          {std::string(3000, 'a')},
          {"application/json\xff"}};
}

class ContentTypesTest : public HttpFixture {
 protected:
  // "/v1/models/:id" with a name in it.
  static std::string filled(std::string path) {
    for (size_t at = path.find(':'); at != std::string::npos; at = path.find(':', at)) {
      const size_t end = std::min(path.find('/', at), path.size());
      path.replace(at, end - at, path.compare(at, end - at, ":version") == 0 ? "3" : "sparsefusion");
    }
    return path;
  }

  // The status of the answer; 0 for none.
  static int ask(int port, const std::string& method, const std::string& path, const std::vector<std::string>& types,
                 const std::string& body) {
    RawConnection connection(port);
    std::string request =
        method + " " + path +
        " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    for (const std::string& type : types) request += "Content-Type: " + type + "\r\n";
    connection.send(request + "\r\n" + body);
    const std::string answer = connection.read_all();
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
  }

  static void expect_no_fault(int port, const std::set<std::string>& paths) {
    for (const std::string& path : paths) {
      for (const std::vector<std::string>& types : content_types()) {
        for (const std::string& body : {std::string(), std::string("{}"), kForm}) {
          expect_no_fault(port, "POST", path, types, body);
        }
      }
      for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"}) {
        for (const std::vector<std::string>& types : {content_types()[0], content_types()[6], content_types()[8]}) {
          expect_no_fault(port, method, path, types, "");
        }
      }
    }
  }
  static void expect_no_fault(int port, const std::string& method, const std::string& path,
                              const std::vector<std::string>& types, const std::string& body) {
    const int status = ask(port, method, path, types, body);
    // 503: what a route says where there is nothing to serve; 501: a method that no route has.
    EXPECT_TRUE((status >= 200 && status < 500) || status == 501 || status == 503)
        << method << " " << path << " " << testing::PrintToString(types) << " " << body.size() << ": " << status;
  }

  static std::set<std::string> paths_of(const std::vector<std::string>& routes) {
    std::set<std::string> paths = {"/nope", "/v2/nope"};
    for (const std::string& route : routes) paths.insert(filled(route.substr(route.find('/'))));
    return paths;
  }
};

TEST_F(ContentTypesTest, NothingOnThePublicPortIsA500) {
  start();
  const std::set<std::string> paths = paths_of(server().routes());
  ASSERT_GE(paths.size(), 25u);
  expect_no_fault(port(), paths);
}

TEST_F(ContentTypesTest, NothingOnTheManagementPortIsA500) {
  AdminServer admin({.host = "127.0.0.1", .port = 0}, service);
  admin.start();
  const std::set<std::string> paths = paths_of(admin.routes());
  ASSERT_GE(paths.size(), 8u);
  expect_no_fault(admin.port(), paths);
}

// Media types, names of parameters and the marker of a data URI: of any case (RFC 9110, 8.3.1; RFC 2397).
TEST_F(ContentTypesTest, CaseMakesNoDifference) {
  start();
  const std::string form =
      "--Cut\r\ncontent-disposition: Form-Data; Name=image\r\n\r\npicture\r\n"
      "--Cut\r\nCONTENT-DISPOSITION: form-data; NAME=question\r\n\r\nwhat?\r\n--Cut--\r\n";
  EXPECT_EQ(ask(port(), "POST", "/v1/answer", {"Multipart/Form-Data; Boundary=Cut"}, form), 200);
  EXPECT_EQ(service.requests().back().messages[0].parts[0].data, "picture");
  const nlohmann::json body = {{"image", "DATA:Image/PNG;Base64," + encode_base64("picture")}, {"question", "what?"}};
  EXPECT_EQ(ask(port(), "POST", "/v1/answer", {"Application/Json"}, body.dump()), 200);
  EXPECT_EQ(service.requests().back().messages[0].parts[0].data, "picture");
}

TEST_F(ContentTypesTest, AFormIsNoJson) {
  start();
  AdminServer admin({.host = "127.0.0.1", .port = 0}, service);
  admin.start();
  const std::vector<std::string> type = {"multipart/form-data; boundary=cut"};
  for (const int at : {port(), admin.port()}) {
    for (const char* path : {"/v2/repository/index", "/v2/repository/models/sparsefusion/load",
                             "/v2/repository/models/sparsefusion/unload"}) {
      const int status = ask(at, "POST", path, type, kForm);
      EXPECT_TRUE(status == 415 || status == 403) << path << " " << status;
    }
  }
}

}  // namespace
}  // namespace sf::server
