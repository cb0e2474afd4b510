#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class KserveModelsTest : public HttpFixture {
 protected:
  json get(const std::string& path) {
    const httplib::Result result = client->Get(path);
    if (!result || result->status != 200) return result ? json(result->status) : json();
    return json::parse(result->body);
  }
};

TEST_F(KserveModelsTest, DescribesTheServer) {
  HttpOptions options;
  options.program_version = "1.2.3";
  start(options);
  const json server = get("/v2");
  EXPECT_EQ(server["name"], "sparsefusion");
  EXPECT_EQ(server["version"], "1.2.3");
  for (const char* extension : {"binary_tensor_data", "statistics", "model_configuration", "model_repository"}) {
    EXPECT_NE(std::find(server["extensions"].begin(), server["extensions"].end(), extension),
              server["extensions"].end());
  }
}

TEST_F(KserveModelsTest, DescribesBothNames) {
  start();
  const json metadata = get("/v2/models/sparsefusion");
  const auto tensor = [](const char* name) { return json{{"name", name}, {"datatype", "BYTES"}, {"shape", {1}}}; };
  EXPECT_EQ(metadata["name"], "sparsefusion");
  EXPECT_EQ(metadata["versions"], json::array({"3"}));
  EXPECT_EQ(metadata["inputs"], json::array({tensor("IMAGE"), tensor("QUESTION")}));
  EXPECT_EQ(metadata["outputs"], json::array({tensor("ANSWER")}));
  EXPECT_EQ(get("/v2/models/sparsefusion/versions/3"), metadata);
  const json config = get("/v2/models/sparsefusion/config");
  EXPECT_EQ(config["max_batch_size"], 0);
  EXPECT_EQ(config["model_transaction_policy"]["decoupled"], false);
  EXPECT_EQ(config["input"][0], json({{"name", "IMAGE"}, {"data_type", "TYPE_STRING"}, {"dims", {1}}}));
  EXPECT_FALSE(config.contains("sequence_batching"));
  EXPECT_EQ(get("/v2/models/sparsefusion_stream")["name"], "sparsefusion_stream");
  EXPECT_EQ(get("/v2/models/sparsefusion_stream/config")["model_transaction_policy"]["decoupled"], true);
  EXPECT_EQ(get("/v2/models/%73parsefusion")["name"], "sparsefusion");
}

TEST_F(KserveModelsTest, KnowsOnlyWhatIsServed) {
  start();
  for (const char* path :
       {"/v2/models/x", "/v2/models/x/config", "/v2/models/x/ready", "/v2/models/x/stats", "/v2/models",
        "/v2/models/sparsefusion/versions/4", "/v2/models/sparsefusion/versions/4/ready",
        "/v2/models/sparsefusion/versions/0x3/config", "/v2/models/sparsefusion/versions", "/v2/models//config",
        "/v2/models/sparsefusion/nope", "/v2/models/sparsefusion%2Fconfig/x"}) {
    const httplib::Result result = client->Get(path);
    ASSERT_TRUE(result) << path;
    EXPECT_EQ(result->status, 404) << path;
    EXPECT_TRUE(json::parse(result->body)["error"].is_string()) << path;
  }
}

TEST_F(KserveModelsTest, TellsReadiness) {
  start();
  EXPECT_EQ(client->Get("/v2/models/sparsefusion/ready")->status, 200);
  EXPECT_EQ(client->Get("/v2/models/sparsefusion_stream/versions/3/ready")->status, 200);
  service.ready = false;
  EXPECT_EQ(client->Get("/v2/models/sparsefusion/ready")->status, 503);
  service.published = false;
  EXPECT_EQ(client->Get("/v2/models/sparsefusion/ready")->status, 503);
  EXPECT_EQ(client->Get("/v2/models/sparsefusion")->status, 503);
  EXPECT_EQ(get("/v2/models/stats")["model_stats"], json::array());
}

TEST_F(KserveModelsTest, StatisticsHaveEveryKeyFromTheStart) {
  start();
  const json all = get("/v2/models/stats")["model_stats"];
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1]["name"], "sparsefusion_stream");
  for (const json& stats : all) {
    EXPECT_EQ(stats["version"], "3");
    for (const char* key : {"last_inference", "inference_count", "execution_count"}) EXPECT_EQ(stats[key], 0) << key;
    for (const char* key :
         {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"}) {
      EXPECT_EQ(stats["inference_stats"][key], json({{"count", 0}, {"ns", 0}})) << key;
    }
    EXPECT_EQ(stats["batch_stats"], json::array());
  }
  EXPECT_EQ(get("/v2/models/sparsefusion/stats")["model_stats"].size(), 1u);
  EXPECT_EQ(get("/v2/models/sparsefusion/versions/3/stats")["model_stats"][0]["name"], "sparsefusion");
}

TEST_F(KserveModelsTest, StatisticsCountAnswers) {
  start();
  const json body = {{"IMAGE", encode_base64("p")}, {"QUESTION", "q"}};
  ASSERT_EQ(client->Post("/v2/models/sparsefusion/generate", body.dump(), "application/json")->status, 200);
  const json stats = get("/v2/models/sparsefusion/stats")["model_stats"][0];
  EXPECT_EQ(stats["inference_count"], 1);
  EXPECT_EQ(stats["inference_stats"]["success"]["count"], 1);
  EXPECT_EQ(stats["inference_stats"]["queue"], json({{"count", 1}, {"ns", 500'000}}));
  EXPECT_EQ(stats["inference_stats"]["compute_input"]["ns"], 1'250'000);
  EXPECT_EQ(stats["inference_stats"]["compute_infer"]["ns"], 5'000'000);
}

TEST_F(KserveModelsTest, AnswersWrongMethodsWithAllow) {
  start();
  const std::pair<const char*, const char*> gets[] = {{"/v2/models/sparsefusion/infer", "POST"},
                                                      {"/v2/models/x/versions/3/generate", "POST"},
                                                      {"/v2/repository/index", "POST"},
                                                      {"/v2/repository/models/x/load", "POST"}};
  for (const auto& [path, allow] : gets) {
    const httplib::Result result = client->Get(path);
    EXPECT_EQ(result->status, 405) << path;
    EXPECT_EQ(result->get_header_value("Allow"), allow) << path;
  }
  for (const char* path : {"/v2", "/v2/models/stats", "/v2/models/sparsefusion", "/v2/models/sparsefusion/config",
                           "/v2/models/sparsefusion/versions/3/ready"}) {
    const httplib::Result result = client->Post(path, "{}", "application/json");
    EXPECT_EQ(result->status, 405) << path;
    EXPECT_EQ(result->get_header_value("Allow"), "GET, HEAD") << path;
    EXPECT_EQ(client->Head(path)->status, 200) << path;
  }
}

}  // namespace
}  // namespace sf::server
