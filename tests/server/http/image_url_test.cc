#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class ImageUrlTest : public HttpFixture {
 protected:
  void start_fetching() {
    HttpOptions options;
    options.fetch_image = [this](const std::string& url, const std::string& field, const FetchCaller& caller) {
      tenants_.push_back(caller.tenant);
      fields_.push_back(field);
      if (url != "https://images.example/a.png") throw invalid_argument(field, field, ": not allowed");
      return std::string("the picture");
    };
    start(std::move(options));
  }
  int chat(int num_images) {
    json parts = {{{"type", "text"}, {"text", "what shape?"}}};
    for (int i = 0; i < num_images; ++i) {
      parts.push_back({{"type", "image_url"}, {"image_url", {{"url", "https://images.example/a.png"}}}});
    }
    const json body = {{"messages", {{{"role", "user"}, {"content", parts}}}}};
    return client->Post("/v1/chat/completions", body.dump(), "application/json")->status;
  }

  std::vector<std::string> fields_, tenants_;
};

TEST_F(ImageUrlTest, IsFetchedWhereThatIsOn) {
  start_fetching();
  EXPECT_EQ(post_json({{"image", "https://images.example/a.png"}, {"question", "what?"}})->status, 200);
  EXPECT_EQ(chat(1), 200);
  EXPECT_EQ(fields_, (std::vector<std::string>{"image", "messages[0].content[1].image_url.url"}));
  for (const AnswerRequest& request : service.requests()) {
    bool found = false;
    for (const Part& part : request.messages.at(0).parts) found = found || part.data == "the picture";
    EXPECT_TRUE(found) << request.api;
  }
}

TEST_F(ImageUrlTest, ARefusalNamesTheField) {
  start_fetching();
  const auto [status, body] = refusal({{"image", "https://evil.example/a.png"}, {"question", "what?"}});
  EXPECT_EQ(status, 400);
  EXPECT_EQ(body["error"]["param"], "image");
}

TEST_F(ImageUrlTest, OneRequestFetchesFewImages) {
  start_fetching();
  EXPECT_EQ(chat(4), 200);
  EXPECT_EQ(chat(5), 400);
}

TEST_F(ImageUrlTest, IsRefusedByDefault) {
  start();
  EXPECT_EQ(refusal({{"image", "https://images.example/a.png"}, {"question", "what?"}}).first, 400);
  EXPECT_EQ(chat(1), 400);
}

}  // namespace
}  // namespace sf::server
