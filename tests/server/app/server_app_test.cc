#include "server/app/server_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/log.h"
#include "engine/base/mutex.h"
#include "engine/checkpoint/store.h"
#include "server/app/check_config.h"
#include "server/app/log_lines.h"
#include "server/auth/api_keys.h"
#include "tests/server/outbound/fake_collector.h"
#include "tests/support/fake_engine.h"
#include "tests/support/scrape.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ServerAppTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sf_app_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    fs::create_directory(root_ / "store");
    fs::create_directory(root_ / "demo");
    fill(root_ / "demo", "demo");
    options_.model = root_ / "store";
    options_.bootstrap_model = root_ / "demo";
    options_.http_port = options_.grpc_port = options_.admin_port = 0;
    options_.poll_interval_ms = 2;
    options_.grpc = false;  // gRPC is not instrumented: sanitizers would report what is inside it
  }
  void TearDown() override {
    app_.reset();
    fs::remove_all(root_);
  }

  static void fill(const fs::path& directory, const std::string& answer) {
    std::ofstream(directory / "config.json") << answer;
    write_checkpoint_manifest(directory, {});
  }
  void publish(int64_t version, const std::string& answer) {
    fill(begin_version(root_ / "store", version), answer);
    publish_version(root_ / "store", version);
  }
  std::unique_ptr<Engine> make_engine(const VerifiedCheckpoint& checkpoint) {
    const std::string answer(checkpoint.file("config.json"));
    if (answer == "broken") throw Error(Code::kDataLoss, "config.json: broken");
    auto engine = std::make_unique<FakeEngine>(FakeEngineOptions{.digest = checkpoint.digest()});
    engine->script("who?", {answer});
    engine_ = engine.get();
    return engine;
  }
  void write_keys(const std::string& name, const std::string& key) {
    std::ofstream(root_ / "keys") << name << " " << hash_api_key(key) << " infer,admin\n";
  }
  void start() {
    app_ = std::make_unique<ServerApp>(
        options_, [this](const VerifiedCheckpoint& checkpoint) { return make_engine(checkpoint); },
        [this](const std::string& line) {
          MutexLock lock(lines_mutex_);
          lines_ += line + "\n";
        });
    app_->start();
  }
  // The answer's text, or the HTTP status where it is not 200.
  std::string ask_http(const std::string& question) {
    httplib::Client client("127.0.0.1", app_->ports().http);
    client.set_read_timeout(60);
    const nlohmann::json body = {{"image", "SU1H"}, {"question", question}};  // base64 of IMG
    const auto response = client.Post("/v1/answer", body.dump(), "application/json");
    if (!response) return "no response";
    if (response->status != 200) return std::to_string(response->status);
    return nlohmann::json::parse(response->body).at("answer");
  }
  int status_of(const std::string& path, int port) {
    const auto response = httplib::Client("127.0.0.1", port).Get(path);
    return response ? response->status : 0;
  }
  std::string lines() {
    MutexLock lock(lines_mutex_);
    return lines_;
  }

  fs::path root_;
  ServerOptions options_;
  FakeEngine* engine_ = nullptr;
  Mutex lines_mutex_;
  std::string lines_ SF_GUARDED_BY(lines_mutex_);
  std::unique_ptr<ServerApp> app_;
};

TEST_F(ServerAppTest, BootstrapsAnEmptyStoreAndAnswers) {
  options_.port_file = root_ / "ports.json";
  start();
  EXPECT_EQ(ask_http("who?"), "demo");
  EXPECT_EQ(list_versions(root_ / "store").size(), 1u);
  EXPECT_EQ(status_of("/v2/health/ready", app_->ports().http), 200);
  EXPECT_EQ(status_of("/metrics", app_->ports().admin), 200);
  std::ifstream in(options_.port_file);
  EXPECT_EQ(nlohmann::json::parse(in).at("http"), app_->ports().http);
  EXPECT_THAT(app_->ready_line(), HasSubstr("ready: version 1 of sparsefusion"));
  EXPECT_THAT(app_->ready_line(), HasSubstr("curl -F image=@"));
  EXPECT_THAT(lines(), HasSubstr("\"event\":\"reload\",\"version\":1,\"result\":\"success\""));
}

#if !defined(__SANITIZE_THREAD__)
TEST_F(ServerAppTest, ListensOnThreePorts) {
  options_.grpc = true;
  start();
  EXPECT_GT(app_->ports().grpc, 0);
  EXPECT_THAT(app_->ready_line(), HasSubstr(concat("gRPC ", app_->ports().grpc)));
  EXPECT_EQ(ask_http("who?"), "demo");
}
#endif

TEST_F(ServerAppTest, AStoreThatHoldsAVersionIsNotBootstrapped) {
  publish(5, "mine");
  start();
  EXPECT_EQ(ask_http("who?"), "mine");
}

TEST_F(ServerAppTest, MovesToANewVersionAndPastABrokenOne) {
  start();
  publish(2, "broken");
  publish(3, "third");
  while (ask_http("who?") != "third") std::this_thread::yield();
}

TEST_F(ServerAppTest, AStoreWithoutAValidVersionIsWaitedFor) {
  publish(1, "broken");
  start();
  EXPECT_EQ(ask_http("who?"), "503");
  EXPECT_EQ(status_of("/v2/health/ready", app_->ports().http), 503);
  EXPECT_EQ(status_of("/v2/health/live", app_->ports().http), 200);
  EXPECT_THAT(app_->ready_line(), HasSubstr("waiting for a first version"));
  publish(2, "second");
  while (status_of("/v2/health/ready", app_->ports().http) != 200) std::this_thread::yield();
  EXPECT_EQ(ask_http("who?"), "second");
}

TEST_F(ServerAppTest, ABrokenCheckpointDirectoryIsAnErrorAtTheStart) {
  fill(root_ / "demo", "broken");
  options_.model = root_ / "demo";
  try {
    start();
    FAIL() << "served a broken checkpoint";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.what(), HasSubstr("config.json: broken"));
  }
}

TEST_F(ServerAppTest, APathThatIsNotThereIsAnError) {
  options_.model = root_ / "nowhere";
  EXPECT_THROW(start(), Error);
}

TEST_F(ServerAppTest, ADrainFinishesWhatWasAdmitted) {
  fill(root_ / "demo", "slow");
  options_.model = root_ / "demo";
  start();
  engine_->hold_steps();  // the golden check is behind it
  std::string answer;
  std::thread client([&] { answer = ask_http("who?"); });
  engine_->wait_until_blocked();
  app_->begin_drain();
  EXPECT_EQ(status_of("/v2/health/ready", app_->ports().http), 503);
  EXPECT_EQ(ask_http("who?"), "503");
  EXPECT_FALSE(app_->wait_idle(0));
  engine_->release_steps();
  EXPECT_TRUE(app_->wait_idle(60));
  app_->stop();
  client.join();
  EXPECT_EQ(answer, "slow");
}

TEST_F(ServerAppTest, AStopWithoutADrainEndsRequestsWithUnavailable) {
  fill(root_ / "demo", "slow");
  options_.model = root_ / "demo";
  start();
  engine_->hold_steps();  // the golden check is behind it
  std::string answer;
  std::thread client([&] { answer = ask_http("who?"); });
  engine_->wait_until_blocked();
  std::thread stopper([&] { app_->stop(); });
  engine_->release_steps();
  stopper.join();
  client.join();
  EXPECT_TRUE(answer == "503" || answer == "slow") << answer;
}

TEST_F(ServerAppTest, APinHoldsOverARestartAndARollbackToo) {
  publish(1, "first");
  publish(2, "second");
  start();
  EXPECT_EQ(ask_http("who?"), "second");
  const auto tell = [&](const std::string& command, const std::string& body) {
    const auto response =
        httplib::Client("127.0.0.1", app_->ports().admin).Post("/v1/admin/" + command, body, "application/json");
    return response ? response->status : 0;
  };
  EXPECT_EQ(tell("rollback", "{}"), 200);
  EXPECT_EQ(ask_http("who?"), "first");
  app_.reset();
  start();
  EXPECT_EQ(ask_http("who?"), "first");
  EXPECT_EQ(tell("pin", "{\"version\": 2}"), 200);
  EXPECT_EQ(ask_http("who?"), "second");
  EXPECT_EQ(tell("load", "{\"version\": 1}"), 400) << "another one is pinned";
  EXPECT_EQ(tell("unpin", "{}"), 200);
  EXPECT_EQ(tell("load", "{\"version\": 1}"), 200);
  EXPECT_EQ(ask_http("who?"), "first");
}

TEST_F(ServerAppTest, ListsVersionsAndExperts) {
  publish(1, "first");
  publish(2, "broken");
  start();
  const auto response = httplib::Client("127.0.0.1", app_->ports().http).Get("/v1/versions");
  const auto data = nlohmann::json::parse(response->body).at("data");
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[0]["state"], "served");
  EXPECT_EQ(data[1]["state"], "quarantined");
  EXPECT_EQ(data[1]["reason"], "load");
  ask_http("who?");
  const auto experts = httplib::Client("127.0.0.1", app_->ports().http).Get("/v1/experts");
  double tokens = 0;
  const auto body = nlohmann::json::parse(experts->body);
  for (const auto& layer : body.at("layers")) {
    for (const auto& expert : layer.at("experts")) tokens += expert.at("image").at("tokens").get<double>();
  }
  EXPECT_EQ(tokens, 2 * 4) << "two layers, four image tokens";
}

TEST_F(ServerAppTest, AManagementPortThatIsOpenToAllIsSaid) {
  start();
  EXPECT_EQ(lines().find("\"event\":\"admin\""), std::string::npos);
  app_.reset();
  options_.admin_host = "0.0.0.0";
  start();
  EXPECT_THAT(lines(), HasSubstr("\"event\":\"admin\""));
}

TEST_F(ServerAppTest, KeysAreAskedForAndReadAgain) {
  options_.api_keys = root_ / "keys";
  write_keys("alice", "first-key");
  start();
  const auto models_with = [&](const std::string& key) {
    const auto response = httplib::Client("127.0.0.1", app_->ports().http)
                              .Get("/v1/models", httplib::Headers{{"Authorization", "Bearer " + key}});
    return response->status;
  };
  EXPECT_EQ(models_with("first-key"), 200);
  EXPECT_EQ(models_with("second-key"), 401);
  write_keys("alice", "second-key");
  EXPECT_EQ(models_with("second-key"), 401) << "not before it is asked to";
  app_->reload_files();
  EXPECT_EQ(models_with("second-key"), 200);
  EXPECT_EQ(models_with("first-key"), 401);
  std::ofstream(root_ / "keys") << "nonsense\n";
  app_->reload_files();
  EXPECT_EQ(models_with("second-key"), 200);
  EXPECT_THAT(lines(), HasSubstr("keys:1: "));
}

TEST_F(ServerAppTest, CheckConfigFindsWhatIsWrongAndStartsNothing) {
  EXPECT_TRUE(config_problems(options_).empty());
  EXPECT_TRUE(fs::is_empty(root_ / "store")) << "nothing is seeded";
  const auto complaint = [](const ServerOptions& options) -> std::string {
    const std::vector<std::string> problems = config_problems(options);
    return problems.size() == 1 ? problems.front() : concat(problems.size(), " problems");
  };
  ServerOptions wrong = options_;
  wrong.model = root_ / "nowhere";
  EXPECT_THAT(complaint(wrong), HasSubstr("--model"));
  wrong = options_;
  wrong.api_keys = root_ / "keys";
  EXPECT_THAT(complaint(wrong), HasSubstr("keys"));
  std::ofstream(root_ / "keys") << "alice\n";
  EXPECT_THAT(complaint(wrong), HasSubstr("keys:1: "));
  wrong = options_;
  wrong.state_dir = root_ / "nowhere";
  EXPECT_THAT(complaint(wrong), HasSubstr("--state-dir"));
  wrong = options_;
  wrong.tls_cert = wrong.tls_key = root_ / "nowhere";
  EXPECT_THAT(complaint(wrong), HasSubstr("tls"));
  wrong = options_;
  wrong.otlp_endpoint = "collector:4318";
  EXPECT_THAT(complaint(wrong), HasSubstr("otlp-endpoint"));
  wrong = options_;
  wrong.otlp_metrics_endpoint = "collector:4318";
  EXPECT_THAT(complaint(wrong), HasSubstr("otlp-metrics-endpoint"));
  wrong = options_;
  wrong.cors_origins = {"app.example"};
  EXPECT_THAT(complaint(wrong), HasSubstr("--cors-origin"));
  wrong = options_;
  std::ofstream(root_ / "demo" / "manifest.json") << "{";
  EXPECT_THAT(complaint(wrong), HasSubstr("--seed-model"));
}

TEST_F(ServerAppTest, CheckConfigSaysAllThatIsWrong) {
  options_.model = root_ / "nowhere";
  options_.state_dir = root_ / "nowhere";
  options_.api_keys = root_ / "nowhere";
  options_.tls_cert = options_.tls_key = root_ / "nowhere";
  options_.otlp_endpoint = "nowhere";
  options_.cors_origins = {"nowhere", "https://app.example", "nowhere/"};
  EXPECT_EQ(config_problems(options_).size(), 7u);
}

TEST_F(ServerAppTest, SpansAndMetricsReachTheCollectorBeforeTheStopIsOver) {
  FakeCollector collector;
  options_.otlp_endpoint = collector.url();
  start();
  ask_http("who?");
  app_->stop();
  EXPECT_THAT(collector.paths(), ::testing::IsSupersetOf({"/v1/traces", "/v1/metrics"}));
}

TEST_F(ServerAppTest, MetricsCanBeSentNowhere) {
  FakeCollector collector;
  options_.otlp_endpoint = collector.url();
  options_.otlp_metrics_endpoint = "none";
  start();
  ask_http("who?");
  app_->stop();
  EXPECT_THAT(collector.paths(), ::testing::Each("/v1/traces"));
}

// Names of models, versions, APIs, methods and headers that no dashboard should ever see.
TEST_F(ServerAppTest, NothingThatAClientSendsBecomesASeries) {
  start();
  ask_http("who?");
  const auto scrape = [&] { return httplib::Client("127.0.0.1", app_->ports().admin).Get("/metrics")->body; };
  const std::set<std::string> before = test::series_of(scrape());
  httplib::Client client("127.0.0.1", app_->ports().http);
  for (int i = 0; i < 20; ++i) {
    const std::string junk = concat("hostile", i, "%22%7D%0A");
    const nlohmann::json question = {{"image", "SU1H"}, {"question", "who?"}, {"model", junk}, {"priority", junk}};
    client.Post("/v1/answer", httplib::Headers{{"X-Request-Id", junk}, {"X-Api", junk}}, question.dump(),
                "application/json");
    client.Get("/v1/models/" + junk);
    client.Get(concat("/v2/models/", junk, "/versions/", i + 100, "/ready"));
    client.Post(concat("/v2/models/sparsefusion/versions/", i + 100, "/infer"), "{}", "application/json");
    client.Get("/" + junk);
    httplib::Request odd;
    odd.method = concat("HOSTILE", i);
    odd.path = "/v1/answer";
    client.send(odd);
  }
  const std::string text = scrape();
  EXPECT_EQ(test::series_of(text), before);
  EXPECT_THAT(text, ::testing::Not(HasSubstr("hostile")));
}

TEST(LogLinesTest, StampsInUtcWithMilliseconds) {
  EXPECT_EQ(stamped("{\"event\":\"x\"}", 1700000000.25), "{\"time\":\"2023-11-14T22:13:20.250Z\",\"event\":\"x\"}");
}

}  // namespace
}  // namespace sf::server
