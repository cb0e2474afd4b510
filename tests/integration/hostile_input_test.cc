// What strangers send, through every layer of the real server.
#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "tests/integration/live_server.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

class HostileInputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / ("sparsefusion-hostile-" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    server_ = new LiveServer(folder_, copy_toy_store(folder_));
  }
  static void TearDownTestSuite() {
    delete server_;
    fs::remove_all(folder_);
  }

  void TearDown() override { EXPECT_EQ(server_->rest()->ask(scene_question(2)).image_tokens, 36) << "the next request"; }

  static int status_of(const std::string& image, const std::string& question = "what shape is the red object?") {
    const httplib::UploadFormDataItems form = {{"image", image, "picture", "application/octet-stream"}, {"question", question, "", ""}, {"max_tokens", "2", "", ""}};
    httplib::Client http("127.0.0.1", server_->http_port());
    const auto response = http.Post("/v1/answer", form);
    if (!response) return -1;
    const auto body = nlohmann::json::parse(response->body, nullptr, false);
    EXPECT_FALSE(body.is_discarded()) << response->body;
    EXPECT_EQ(body.contains("error"), response->status != 200) << response->body;
    return response->status;
  }

  static int status_of_json(const std::string& body) {
    httplib::Client http("127.0.0.1", server_->http_port());
    const auto response = http.Post("/v1/answer", body, "application/json");
    return response ? response->status : -1;
  }

  static inline LiveServer* server_ = nullptr;
  static inline fs::path folder_;
};

std::string png_header(uint32_t width, uint32_t height) {
  std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  for (uint32_t value : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) png += static_cast<char>(value >> shift & 0xff);
  }
  return png + std::string("\x08\x02\0\0\0\0\0\0\0\0\0\0\0IDAT\0\0\0\0\0\0\0\0IEND\0\0\0\0", 33);
}

TEST_F(HostileInputTest, PicturesThatAreNone) {
  const std::string scene = scene_question().image;
  EXPECT_EQ(status_of(scene), 200);
  EXPECT_EQ(status_of(scene.substr(0, scene.size() / 2)), 400);
  EXPECT_EQ(status_of(scene.substr(0, 20)), 400);
  EXPECT_EQ(status_of(""), 400);
  EXPECT_EQ(status_of(std::string(5000, '\x7f')), 415);
  EXPECT_EQ(status_of("GIF89a\1\0\1\0\0\0\0;"), 415);
  EXPECT_EQ(status_of(std::string("II*\0\x08\0\0\0\0\0\0\0", 12)), 415);
  EXPECT_EQ(status_of("<svg xmlns='http://www.w3.org/2000/svg'/>"), 415);
  EXPECT_EQ(status_of(png_header(10'000, 10'000)), 413);
  EXPECT_EQ(status_of(png_header(0, 0)), 400);
  EXPECT_EQ(status_of(std::string(11 << 20, 'x')), 413);
}

TEST_F(HostileInputTest, EveryExampleFormatIsAnswered) {
  for (const char* file : {"scene.png", "wide.jpg", "night.webp", "dark.png", "tall.webp"}) {
    EXPECT_EQ(status_of(read_file(fs::path(SF_SOURCE_DIR) / "examples" / file, 4 << 20)), 200) << file;
  }
}

TEST_F(HostileInputTest, QuestionsThatAreNone) {
  const std::string scene = scene_question().image;
  EXPECT_EQ(status_of(scene, ""), 400);
  EXPECT_EQ(status_of(scene, " \n\t "), 400);
  EXPECT_EQ(status_of(scene, std::string(100'000, 'a')), 400);
  EXPECT_EQ(status_of(scene, "\xff\xfe"), 400);
  std::string many;
  for (int i = 0; i < 600; ++i) many += "red ";
  EXPECT_EQ(status_of(scene, many), 400);
}

TEST_F(HostileInputTest, JsonThatIsWrong) {
  EXPECT_EQ(status_of_json("{"), 400);
  EXPECT_EQ(status_of_json("[]"), 400);
  EXPECT_EQ(status_of_json("{}"), 400);
  EXPECT_EQ(status_of_json(R"({"image": 5, "question": "x"})"), 400);
  EXPECT_EQ(status_of_json(R"({"image": "!!!", "question": "x"})"), 400);
  EXPECT_EQ(status_of_json(R"({"image": "aGVsbG8=", "question": ["x"]})"), 400);
  EXPECT_EQ(status_of_json(std::string(3000, '[') + std::string(3000, ']')), 400);
  EXPECT_EQ(status_of_json("{\"question\": \"" + std::string(21 << 20, 'a') + "\"}"), 413);
}

TEST_F(HostileInputTest, ClientsThatHangUpLeaveNothingBehind) {
  auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/" + std::to_string(server_->process().pid()) + "/fd"), fs::directory_iterator());
  };
  server_->grpc()->ask(scene_question(2));
  const auto before = open_files();
  for (int i = 0; i < 12; ++i) {
    const auto asker = i % 2 == 0 ? server_->rest() : server_->grpc();
    int deltas = 0;
    try {
      asker->ask_stream(scene_question(400), [&](std::string_view) { return ++deltas < 2; });
    } catch (const client::ClientError&) {
    }
  }
  EXPECT_TRUE(wait_until([&] { return server_->metric("sparsefusion_requests_inflight") == 0; }));
  EXPECT_TRUE(wait_until([&] { return open_files() <= before + 4; })) << open_files() << " files, " << before << " before";
}

}  // namespace
}  // namespace sf::test
