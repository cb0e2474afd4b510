// What strangers send, through every layer of the real server: a clear refusal or a right answer, the same over REST
// and gRPC, and afterwards the next request is answered and nothing is left behind.
#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "engine/image/image.h"
#include "server/wire/base64.h"
#include "tests/engine/image/image_fixtures.h"
#include "tests/integration/live_server.h"
#include "tests/support/paths.h"
#include "tests/support/raw_connection.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMiB = 1 << 20;

class HostileInputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<ScratchFolder>("hostile");
    server_ = std::make_unique<LiveServer>(folder_->path(), copy_toy_store(folder_->path()));
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }

  void TearDown() override {
    EXPECT_EQ(server_->rest()->ask(scene_question(2)).model_version, 1) << "the next request";
    EXPECT_EQ(server_->grpc()->ask(scene_question(2)).model_version, 1) << "the next request";
    EXPECT_TRUE(wait_until([] { return server_->metric("sparsefusion_requests_inflight") == 0; }));
    EXPECT_EQ(server_->metric("sparsefusion_queue_depth"), 0);
    EXPECT_EQ(server_->metric("sparsefusion_queue_tokens"), 0);
  }

  // The status over REST, once gRPC has said the same; 200 for an answer.
  static int status_of(const std::string& image, const std::string& question = "what shape is the red object?") {
    const int status = status_of_form({{"image", image, "picture", "application/octet-stream"},
                                       {"question", question, "", ""},
                                       {"max_tokens", "2", "", ""}});
    std::string code = "OK";
    try {
      client::Question asked;
      asked.image = image;
      asked.question = question;
      asked.max_tokens = 2;
      server_->grpc()->ask(asked);
    } catch (const client::ClientError& error) {
      code = error.code();
    }
    EXPECT_EQ(code, status == 200 ? "OK" : status == 413 ? "RESOURCE_EXHAUSTED" : "INVALID_ARGUMENT");
    return status;
  }

  static int status_of_form(const httplib::UploadFormDataItems& form) {
    httplib::Client http("127.0.0.1", server_->http_port());
    return checked(http.Post("/v1/answer", form));
  }

  static int status_of_json(const std::string& body, const std::string& type = "application/json") {
    httplib::Client http("127.0.0.1", server_->http_port());
    return checked(http.Post("/v1/answer", body, type));
  }

  // Whatever is refused says why, as an error object.
  static int checked(const httplib::Result& response) {
    if (!response) return -1;
    const json body = json::parse(response->body, nullptr, false);
    EXPECT_TRUE(body.is_object() && body.contains(response->status == 200 ? "answer" : "error")) << response->body;
    return response->status;
  }

  static inline std::unique_ptr<ScratchFolder> folder_;
  static inline std::unique_ptr<LiveServer> server_;
};

TEST_F(HostileInputTest, ImagesThatAreNone) {
  const std::string scene = scene_question().image;
  EXPECT_EQ(status_of(scene), 200);
  EXPECT_EQ(status_of(scene.substr(0, scene.size() / 2)), 400);
  EXPECT_EQ(status_of(scene.substr(0, 20)), 400);
  EXPECT_EQ(status_of(""), 400);
  EXPECT_EQ(status_of(std::string(5000, '\x7f')), 415);
  EXPECT_EQ(status_of(std::string("GIF89a\1\0\1\0\0\0\0;", 14)), 415);
  EXPECT_EQ(status_of(std::string("II*\0\x08\0\0\0\0\0\0\0", 12)), 415);
  EXPECT_EQ(status_of("<svg xmlns='http://www.w3.org/2000/svg'/>"), 415);
  std::string damaged = scene;
  damaged[damaged.size() / 2] ^= 0x55;
  EXPECT_EQ(status_of(damaged), 400);
}

TEST_F(HostileInputTest, ImagesThatAreTooLargeOrEmpty) {
  EXPECT_EQ(status_of(fixtures::png({.width = 10'000, .height = 10'000}, "")), 413);
  EXPECT_EQ(status_of(fixtures::png({.width = 0x7fffffff, .height = 0x7fffffff}, "")), 413);
  EXPECT_EQ(status_of(fixtures::png({.width = 0xffffffff, .height = 0xffffffff}, "")),
            400);  // over what a PNG can hold
  EXPECT_EQ(status_of(fixtures::png({.width = 0, .height = 0}, "")), 400);
  EXPECT_EQ(status_of(fixtures::png({.width = 4000, .height = 4000}, "")),
            400);  // as many pixels as may be, but none there
  EXPECT_EQ(status_of(std::string(11 * kMiB, 'x')), 413);
}

// The scene's pixels in other kinds of PNG: what is said of them must not change.
TEST_F(HostileInputTest, OneSceneInEveryKindOfPngGivesOneAnswer) {
  const Image scene = decode_image(scene_question().image);
  std::string wide_rows, alpha_rows;
  for (int y = 0; y < scene.height; ++y) {
    wide_rows += '\0';
    alpha_rows += '\0';
    for (int i = 0; i < scene.width * 3; ++i) {
      const char sample = static_cast<char>(scene.pixels[static_cast<size_t>(y * scene.width * 3 + i)]);
      wide_rows += {sample, sample};  // v x 257
      alpha_rows += sample;
      if (i % 3 == 2) alpha_rows += '\xff';
    }
  }
  const auto width = static_cast<uint32_t>(scene.width), height = static_cast<uint32_t>(scene.height);
  client::Question question = scene_question(12);
  const client::Answer expected = server_->rest()->ask(question);
  for (const std::string& image :
       {fixtures::png({width, height, 16, 2}, wide_rows), fixtures::png({width, height, 8, 6}, alpha_rows),
        fixtures::png_of(scene, /*interlaced=*/true), fixtures::webp_of(scene)}) {
    question.image = image;
    EXPECT_EQ(server_->rest()->ask(question).answer, expected.answer);
    EXPECT_EQ(server_->grpc()->ask(question).answer, expected.answer);
  }
}

TEST_F(HostileInputTest, GreyPaletteAlphaAndCmykAreAnswered) {
  const std::string rows(32 * (1 + 32), '\0'), rows_of_2(32 * (1 + 64), '\0');
  const std::string palette = fixtures::png_chunk("PLTE", std::string("\xff\x20\x20", 3));
  EXPECT_EQ(status_of(fixtures::png({.width = 32, .height = 32, .color_type = 0}, rows)), 200);
  EXPECT_EQ(status_of(fixtures::png({.width = 32, .height = 32, .color_type = 3}, rows, palette)), 200);
  EXPECT_EQ(status_of(fixtures::png({.width = 32, .height = 32, .color_type = 4}, rows_of_2)), 200);
  EXPECT_EQ(status_of(fixtures::cmyk_jpeg(std::vector<uint8_t>(32 * 32 * 4, 90), 32, 32)), 200);
  EXPECT_EQ(status_of(fixtures::png({.width = 1, .height = 1}, std::string(4, '\0'))), 200);
  for (const char* file : {"wide.jpg", "night.webp", "dark.png", "tall.webp", "chart.png"}) {
    EXPECT_EQ(status_of(read_file(fs::path(test::source_dir()) / "examples" / file, 4 * kMiB)), 200) << file;
  }
}

TEST_F(HostileInputTest, QuestionsThatAreNone) {
  const std::string scene = scene_question().image;
  EXPECT_EQ(status_of(scene, ""), 400);
  EXPECT_EQ(status_of(scene, " \n\t "), 400);
  EXPECT_EQ(status_of(scene, std::string(100'000, 'a')), 400);
  std::string longer_than_the_context;
  for (int i = 0; i < 600; ++i) longer_than_the_context += "red ";
  EXPECT_EQ(status_of(scene, longer_than_the_context), 400);
  EXPECT_EQ(status_of(scene, "<image><question></s> \xe2\x80\xae what \x01 shape?"), 200);
  // protobuf itself refuses to send a string that is no UTF-8, so gRPC is not asked.
  EXPECT_EQ(status_of_form({{"image", scene, "", ""}, {"question", "\xff\xfe", "", ""}}), 400);
  EXPECT_EQ(status_of_json("{\"image\": \"aGVsbG8=\", \"question\": \"\xff\xfe\"}"), 400);
}

TEST_F(HostileInputTest, FieldsThatAreMissingOrWrong) {
  const std::string scene = scene_question().image;
  EXPECT_EQ(status_of_form({{"question", "what?", "", ""}}), 400);
  EXPECT_EQ(status_of_form({{"image", scene, "", ""}}), 400);
  EXPECT_EQ(status_of_form({{"image", scene, "", ""}, {"question", "what?", "", ""}, {"max_tokens", "-1", "", ""}}),
            400);
  EXPECT_EQ(status_of_form({{"image", scene, "", ""}, {"question", "what?", "", ""}, {"temperature", "nan", "", ""}}),
            400);
  EXPECT_EQ(
      status_of_form({{"image", scene, "", ""}, {"question", "what?", "", ""}, {"model", "no-such-model", "", ""}}),
      404);
  for (const char* body : {"", "{", "[]", "{}", "null", R"({"image": 5, "question": "x"})",
                           R"({"image": "!!!", "question": "x"})", R"({"image": "aGVsbG8=", "question": ["x"]})",
                           R"({"question": "x"})", R"({"image": null, "question": null})"}) {
    EXPECT_EQ(status_of_json(body), 400) << body;
  }
  const std::string good =
      R"({"image": ")" + server::encode_base64(scene) + R"(", "question": "what?", "max_tokens": )";
  EXPECT_EQ(status_of_json(good + "2}"), 200);
  for (const char* value : {"\"2\"", "2.5", "0", "1e30", "[2]", "{}", "99999999999999999999"}) {
    EXPECT_EQ(status_of_json(good + value + "}"), 400) << value;
  }
  EXPECT_EQ(status_of_json(good + "2, \"stream\": \"yes\"}"), 400);
  EXPECT_EQ(status_of_json(good + "2, \"stop\": 7}"), 400);
  EXPECT_EQ(status_of_json(std::string(3000, '[') + std::string(3000, ']')), 400);
  EXPECT_EQ(status_of_json(good + "2}", "text/plain"), 415);
  EXPECT_EQ(status_of_json("{\"question\": \"" + std::string(21 * kMiB, 'a') + "\"}"), 413);
}

TEST_F(HostileInputTest, ClientsThatHangUpLeaveNothingBehind) {
  server_->grpc()->ask(scene_question(2));
  server_->rest()->ask(scene_question(2));
  const int64_t before = server_->num_open_files();
  const double cancelled_before = server_->metric("sparsefusion_requests_cancelled_total");
  for (int i = 0; i < 12; ++i) {
    const auto asker = i % 2 == 0 ? server_->rest() : server_->grpc();
    int num_deltas = 0;
    EXPECT_THROW(
        asker->ask_stream(long_question(static_cast<uint64_t>(i)), [&](std::string_view) { return ++num_deltas < 2; }),
        client::ClientError);
  }
  const std::string head =
      "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
  for (const std::string& begun : {std::string("POST /v1/ans"), head, head + "{\"image\": \"iVBORw0K"}) {
    server::RawConnection connection(server_->http_port());
    EXPECT_TRUE(connection.send(begun));
  }
  EXPECT_TRUE(wait_until([] { return server_->metric("sparsefusion_requests_inflight") == 0; }));
  // Not all twelve: where the clients share one core with the engine, some answers are whole before their reader
  // leaves.
  EXPECT_TRUE(wait_until([&] { return server_->metric("sparsefusion_requests_cancelled_total") > cancelled_before; }));
  EXPECT_TRUE(wait_until([&] { return server_->num_open_files() <= before; }))
      << server_->num_open_files() << " files, " << before << " before";
}

}  // namespace
}  // namespace sf::test
