#include "client/commands.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace sf::client {
namespace {

// Answers "red circle" in two pieces; remembers what it was asked.
class ScriptedClient final : public Client {
 public:
  Answer ask(const Question& question) override {
    asked = question;
    Answer answer{.id = "id", .answer = "red circle"};
    for (const std::string& text : question.choices) answer.choices.push_back({text, 0.5});
    return answer;
  }
  Answer ask_stream(const Question& question, const OnDelta& on_delta) override {
    on_delta("red ");
    on_delta("circle");
    return ask(question);
  }
  Explained explain(const ExplainQuestion& question) override {
    asked = question.question;
    wants_image = question.image;
    return {.answer = "red circle",
            .method = "relevancy",
            .model_version = 3,
            .image_width = 64,
            .image_height = 48,
            .rows = 2,
            .columns = 3,
            .tokens = {{" r\ned", 0, 4, {{3, 1}, {0, 2}}}, {" circle", -0.6931472, 0, {}}},
            .png = "picture"};
  }
  bool wants_image = false;
  bool is_healthy(bool ready) override { return ready ? is_ready : true; }
  std::vector<Model> models() override { return served; }
  std::vector<ModelVersion> versions() override {
    return {{.version = 3, .state = "served", .pinned = true, .step = 300, .digest = "abcdef0123456789", .score = 0.75},
            {.version = 4, .state = "quarantined", .reason = "canary", .message = "1 of 36 answers differ"}};
  }
  ExpertTable experts() override {
    ++num_tables;
    return {.model_version = 3,
            .rows = {{0, 0, 10.0 * num_tables, 5, 7.5, 1}, {0, 1, 0, 0, 0, 0}},
            .windows = {{0, 1.25, 2, 1, 0.125}}};
  }
  int64_t tell(VersionCommand command, int64_t version) override {
    if (refusal) throw *refusal;
    told = command;
    return version == 0 ? 3 : version;
  }
  int num_tables = 0;
  VersionCommand told = VersionCommand::kLoad;
  std::optional<ClientError> refusal;  // of tell()

  Question asked;
  bool is_ready = false;
  std::vector<Model> served;
};

class CommandsTest : public testing::Test {
 protected:
  CommandsTest() : path_(std::filesystem::path(testing::TempDir()) / ("picture." + std::to_string(getpid()))) {
    std::ofstream(path_, std::ios::binary) << "by\ntes";
  }
  ~CommandsTest() override { std::filesystem::remove(path_); }
  AskCommand command() const {
    AskCommand command;
    command.image_path = path_.string();
    command.question.question = "what?";
    return command;
  }

  ScriptedClient client;
  std::ostringstream out;

 private:
  const std::filesystem::path path_;
};

TEST_F(CommandsTest, AskPrintsTheAnswerOnOneLine) {
  EXPECT_EQ(run_ask(client, command(), out), 0);
  EXPECT_EQ(out.str(), "red circle\n");
  EXPECT_EQ(client.asked.image, "by\ntes");
  EXPECT_EQ(client.asked.question, "what?");
}

TEST_F(CommandsTest, AskStreamsTheSameText) {
  AskCommand streamed = command();
  streamed.stream = true;
  EXPECT_EQ(run_ask(client, streamed, out), 0);
  EXPECT_EQ(out.str(), "red circle\n");
}

TEST_F(CommandsTest, AskPrintsJsonAlone) {
  for (const bool stream : {false, true}) {
    out.str("");
    AskCommand json = command();
    json.json = true;
    json.stream = stream;
    run_ask(client, json, out);
    EXPECT_EQ(nlohmann::json::parse(out.str())["answer"], "red circle");
  }
}

TEST_F(CommandsTest, AskPrintsTheChoicesBelowTheAnswer) {
  AskCommand chosen = command();
  chosen.question.choices = {"red circle", "square"};
  const std::string expected = "red circle\n  0.5000  red circle\n  0.5000  square\n";
  run_ask(client, chosen, out);
  EXPECT_EQ(out.str(), expected);
  out.str("");
  chosen.stream = true;
  run_ask(client, chosen, out);
  EXPECT_EQ(out.str(), expected);
  out.str("");
  chosen.json = true;
  run_ask(client, chosen, out);
  EXPECT_EQ(nlohmann::json::parse(out.str())["choices"][1]["text"], "square");
}

TEST_F(CommandsTest, ExplainPrintsTokensWithTheirExpertsAndWritesTheImage) {
  ExplainCommand explain{.image_path = command().image_path, .question = {}, .output_path = {}};
  explain.question.question.question = "what?";
  run_explain(client, explain, out);
  EXPECT_EQ(out.str(),
            "red circle\n"
            "method relevancy, version 3, picture 64 x 48 pixels as 2 x 3 tokens\n"
            "  prob    looks most at      experts by layer  token\n"
            "  1.0000  row  1 column  1  3,1 | 0,2   r ed\n"
            "  0.5000  row  0 column  0  -   circle\n");
  EXPECT_FALSE(client.wants_image);
  EXPECT_EQ(client.asked.image, "by\ntes");
  explain.output_path = command().image_path + ".png";
  run_explain(client, explain, out);
  EXPECT_EQ(read_file(explain.output_path), "picture");
  EXPECT_TRUE(client.wants_image);
  std::filesystem::remove(explain.output_path);
  explain.output_path = "/nonexistent/out.png";
  EXPECT_THROW(run_explain(client, explain, out), ClientError);
}

TEST_F(CommandsTest, AskNamesAImageThatCannotBeRead) {
  AskCommand missing = command();
  missing.image_path = "/nonexistent/picture.png";
  try {
    run_ask(client, missing, out);
    FAIL();
  } catch (const ClientError& error) {
    EXPECT_NE(std::string(error.what()).find(missing.image_path), std::string::npos);
  }
  missing.image_path = testing::TempDir();
  EXPECT_THROW(run_ask(client, missing, out), ClientError);
}

TEST_F(CommandsTest, HealthIsTheExitStatus) {
  EXPECT_EQ(run_health(client, false, out), 0);
  EXPECT_EQ(run_health(client, true, out), 1);
  client.is_ready = true;
  EXPECT_EQ(run_health(client, true, out), 0);
  EXPECT_EQ(out.str(), "live\nnot ready\nready\n");
}

TEST_F(CommandsTest, ModelsPrintsALineEach) {
  run_models(client, false, out);
  EXPECT_EQ(out.str(), "no model is published yet\n");
  out.str("");
  client.served = {{.id = "a", .version = 3, .json = "{\"id\":\"a\"}"}};
  run_models(client, false, out);
  run_models(client, true, out);
  EXPECT_EQ(out.str(), "a\tversion 3\n{\"id\":\"a\"}\n");
}

TEST_F(CommandsTest, VersionsAreATableOrJson) {
  run_versions(client, false, out);
  EXPECT_EQ(out.str(),
            " version  state             step     score  digest\n"
            "       3  served*            300    0.7500  abcdef012345\n"
            "       4  quarantined          0         -                canary: 1 of 36 answers differ\n");
  out.str("");
  run_versions(client, true, out);
  EXPECT_NE(out.str().find(R"({"version":3,"state":"served","reason":"","message":"","pinned":true,"step":300,)"),
            std::string::npos);
  EXPECT_NE(out.str().find(R"("score":null})"), std::string::npos);
}

TEST_F(CommandsTest, ReloadSaysWhatServes) {
  run_reload(client, VersionCommand::kRollback, 0, out);
  EXPECT_EQ(client.told, VersionCommand::kRollback);
  EXPECT_EQ(out.str(), "serving version 3\n");
}

TEST_F(CommandsTest, ARefusedReloadPrintsNothing) {
  client.refusal = ClientError("INVALID_ARGUMENT", "version 3: verify: torn");
  EXPECT_THROW(run_reload(client, VersionCommand::kPin, 3, out), ClientError);
  EXPECT_EQ(out.str(), "");
}

TEST_F(CommandsTest, ExpertsAreATableAndWatchingShowsWhatCameSince) {
  std::vector<double> waits;
  run_experts(client, {.watch_s = 2}, out, [&](double seconds) {
    waits.push_back(seconds);
    return waits.size() < 2;
  });
  EXPECT_EQ(waits, (std::vector<double>{2, 2}));
  EXPECT_EQ(out.str(),
            "version 3\n"
            "layer 0  entropy 1.250 nats, busiest/mean 2.00, dead 1, drift 0.1250\n"
            "  expert      image       text  mean gate   overflow\n"
            "       0         10          5      0.500          1  ####################\n"
            "       1          0          0      0.000          0  \n"
            "\nlast 2 s, version 3\n"
            "layer 0  entropy 1.250 nats, busiest/mean 2.00, dead 1, drift 0.1250\n"
            "  expert      image       text  mean gate   overflow\n"
            "       0         10          0      0.000          0  ####################\n"
            "       1          0          0      0.000          0  \n");
  out.str("");
  run_experts(client, {.json = true}, out, nullptr);
  EXPECT_EQ(nlohmann::json::parse(out.str())["experts"][0]["image_tokens"], 30.0);
}

TEST_F(CommandsTest, ConnectRefusesWhatIsNoUrl) {
  EXPECT_THROW(connect({.url = "localhost:8000"}), ClientError);
  EXPECT_NE(connect({.url = "not looked at", .grpc_target = "127.0.0.1:1"}), nullptr);
}

}  // namespace
}  // namespace sf::client
