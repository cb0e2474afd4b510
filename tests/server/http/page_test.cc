#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using PageTest = HttpFixture;

TEST_F(PageTest, LearnsWhereGrpcAnswers) {
  start({.grpc_port = [] { return 40123; }});
  const httplib::Result result = client->Get("/page.json");
  ASSERT_TRUE(result);
  EXPECT_EQ(nlohmann::json::parse(result->body).at("grpc_port"), 40123);
  EXPECT_EQ(result->get_header_value("Cache-Control"), "no-store") << "the port is another one after a restart";
}

TEST_F(PageTest, LearnsThatThereIsNoGrpc) {
  start();
  EXPECT_TRUE(nlohmann::json::parse(client->Get("/page.json")->body).at("grpc_port").is_null());
}

TEST_F(PageTest, HasASampleAndTheDocumentsThatItLinks) {
  start();
  EXPECT_EQ(client->Get("/scene.png")->get_header_value("Content-Type"), "image/png");
  const std::string page = client->Get("/")->body;
  size_t num_links = 0;
  for (size_t at = page.find("<a "); at != std::string::npos; at = page.find("<a ", at + 1)) {
    const size_t begin = page.find("href=\"", at) + 6;
    const std::string path = page.substr(begin, page.find('"', begin) - begin);
    EXPECT_EQ(client->Get(path)->status, 200) << path;
    ++num_links;
  }
  EXPECT_GE(num_links, 5u);
}

TEST_F(PageTest, WithoutThePageNoneOfItIsThere) {
  start({.ui = false});
  for (const char* path : {"/", "/page.json", "/scene.png", "/docs/api.md"}) {
    EXPECT_EQ(client->Get(path)->status, 404) << path;
  }
}

}  // namespace
}  // namespace sf::server
