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
    return {.id = "id", .answer = "red circle"};
  }
  Answer ask_stream(const Question& question, const OnDelta& on_delta) override {
    on_delta("red ");
    on_delta("circle");
    return ask(question);
  }
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

TEST_F(CommandsTest, AskNamesAPictureThatCannotBeRead) {
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
