#include "tests/server/grpc/kserve_fixture.h"

namespace sf::server {
namespace {

class KserveModelsGrpcTest : public KserveFixture {
 protected:
  // Calls one method; `status` is its outcome.
  template <typename In, typename Out>
  Out call(grpc::Status (Stub::*method)(grpc::ClientContext*, const In&, Out*), const In& request) {
    grpc::ClientContext context;
    Out response;
    status = (kserve.get()->*method)(&context, request, &response);
    return response;
  }
  template <typename In>
  static In named(const std::string& name, const std::string& version = "") {
    In request;
    request.set_name(name);
    request.set_version(version);
    return request;
  }
  grpc::Status status;
};

TEST_F(KserveModelsGrpcTest, TellsHealth) {
  start_kserve();
  const auto ready = named<inference::ModelReadyRequest>("sparsefusion_stream", "3");
  EXPECT_TRUE(call(&Stub::ServerLive, inference::ServerLiveRequest()).live());
  EXPECT_TRUE(call(&Stub::ServerReady, inference::ServerReadyRequest()).ready());
  EXPECT_TRUE(call(&Stub::ModelReady, ready).ready());
  service.ready = false;
  service.live = false;
  EXPECT_FALSE(call(&Stub::ServerLive, inference::ServerLiveRequest()).live());
  EXPECT_TRUE(status.ok());
  EXPECT_FALSE(call(&Stub::ServerReady, inference::ServerReadyRequest()).ready());
  EXPECT_FALSE(call(&Stub::ModelReady, ready).ready());
}

TEST_F(KserveModelsGrpcTest, DescribesServerAndModels) {
  GrpcOptions options;
  options.program_version = "1.2.3";
  start_kserve(options);
  const auto server = call(&Stub::ServerMetadata, inference::ServerMetadataRequest());
  EXPECT_EQ(server.name(), "sparsefusion");
  EXPECT_EQ(server.version(), "1.2.3");
  EXPECT_EQ(std::count(server.extensions().begin(), server.extensions().end(), "statistics"), 1);
  const auto metadata = call(&Stub::ModelMetadata, named<inference::ModelMetadataRequest>("sparsefusion"));
  EXPECT_EQ(metadata.versions(0), "3");
  ASSERT_EQ(metadata.inputs_size(), 2);
  EXPECT_EQ(metadata.inputs(1).name(), "QUESTION");
  EXPECT_EQ(metadata.inputs(1).datatype(), "BYTES");
  EXPECT_EQ(metadata.inputs(1).shape(0), 1);
  EXPECT_EQ(metadata.outputs(0).name(), "ANSWER");
  for (const bool decoupled : {false, true}) {
    const std::string name = decoupled ? "sparsefusion_stream" : "sparsefusion";
    const auto config = call(&Stub::ModelConfig, named<inference::ModelConfigRequest>(name, "3")).config();
    EXPECT_EQ(config.name(), name);
    EXPECT_EQ(config.max_batch_size(), 0);
    EXPECT_EQ(config.input(0).data_type(), inference::TYPE_STRING);
    EXPECT_EQ(config.input(0).dims(0), 1);
    EXPECT_EQ(config.output(0).name(), "ANSWER");
    EXPECT_EQ(config.model_transaction_policy().decoupled(), decoupled);
  }
}

TEST_F(KserveModelsGrpcTest, KnowsOnlyWhatIsServed) {
  start_kserve();
  for (const auto& [name, version] : {std::pair{"x", ""}, {"sparsefusion", "4"}, {"", ""}, {"Sparsefusion", ""}}) {
    EXPECT_FALSE(call(&Stub::ModelReady, named<inference::ModelReadyRequest>(name, version)).ready());
    EXPECT_TRUE(status.ok());
    call(&Stub::ModelMetadata, named<inference::ModelMetadataRequest>(name, version));
    EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
    call(&Stub::ModelConfig, named<inference::ModelConfigRequest>(name, version));
    EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  }
  call(&Stub::ModelStatistics, named<inference::ModelStatisticsRequest>("x"));
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
}

TEST_F(KserveModelsGrpcTest, StatisticsCountAnswersByName) {
  start_kserve();
  const auto all = call(&Stub::ModelStatistics, inference::ModelStatisticsRequest());
  ASSERT_EQ(all.model_stats_size(), 2);
  EXPECT_TRUE(all.model_stats(1).inference_stats().has_cache_miss());
  ASSERT_TRUE(ask_kserve(infer()).ok());
  service.submit_error = Error(Code::kResourceExhausted, "full", "", Reason::kQueueFull);
  ask_kserve(infer());
  const auto stats =
      call(&Stub::ModelStatistics, named<inference::ModelStatisticsRequest>("sparsefusion")).model_stats(0);
  EXPECT_EQ(stats.name(), "sparsefusion");
  EXPECT_EQ(stats.version(), "3");
  EXPECT_EQ(stats.inference_count(), 1u);
  EXPECT_EQ(stats.execution_count(), 1u);
  EXPECT_GT(stats.last_inference(), 0u);
  EXPECT_EQ(stats.inference_stats().success().count(), 1u);
  EXPECT_EQ(stats.inference_stats().fail().count(), 1u);
  EXPECT_EQ(stats.inference_stats().queue().ns(), 500'000u);
  EXPECT_EQ(stats.inference_stats().compute_infer().ns(), 5'000'000u);
}

}  // namespace
}  // namespace sf::server
