#include <map>

#include "tests/server/grpc/kserve_fixture.h"

namespace sf::server {
namespace {

using Streamed = inference::ModelStreamInferResponse;

class KserveStreamTest : public KserveFixture {
 protected:
  using Stream = grpc::ClientReaderWriter<Request, Streamed>;

  std::unique_ptr<Stream> open(grpc::ClientContext& context) { return kserve->ModelStreamInfer(&context); }
  static void enable_empty_final(Request& request) {
    (*request.mutable_parameters())["triton_enable_empty_final_response"].set_bool_param(true);
  }
  // Sends `requests`, says that there are no more, and gives every response by id.
  std::map<std::string, std::vector<Streamed>> exchange(const std::vector<Request>& requests) {
    grpc::ClientContext context;
    const auto stream = open(context);
    for (const Request& request : requests) EXPECT_TRUE(stream->Write(request));
    stream->WritesDone();
    std::map<std::string, std::vector<Streamed>> found;
    for (Streamed response; stream->Read(&response);) found[response.infer_response().id()].push_back(response);
    EXPECT_TRUE(stream->Finish().ok());
    return found;
  }
};

TEST_F(KserveStreamTest, MarksEveryChunkAndEndsWithAnEmptyResponse) {
  service.deltas = {"red", "", " circle"};
  start_kserve();
  Request request = infer("sparsefusion_stream", "a");
  enable_empty_final(request);
  const std::vector<Streamed> found = exchange({request})["a"];
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < found.size(); ++i) {
    const Response& response = found[i].infer_response();
    EXPECT_EQ(found[i].error_message(), "");
    EXPECT_EQ(response.model_name(), "sparsefusion_stream");
    EXPECT_EQ(response.model_version(), "3");
    EXPECT_EQ(is_final(response), i == 2);
    EXPECT_EQ(response.outputs_size(), response.raw_output_contents_size());
  }
  EXPECT_EQ(answer_of(found[0].infer_response()), "red");
  EXPECT_EQ(answer_of(found[1].infer_response()), " circle");
  EXPECT_EQ(found[2].infer_response().outputs_size(), 0);
  EXPECT_EQ(found[2].infer_response().parameters().at("completion_tokens").int64_param(), 3);
  const auto finished = service.wait_for_finished(1);
  EXPECT_EQ(finished.at(0).api, "kserve_grpc");
  EXPECT_EQ(finished.at(0).request_id, "a");
  EXPECT_EQ(finished.at(0).code, "OK");
}

// A client that does not know of empty responses reads an output of every one.
TEST_F(KserveStreamTest, TheLastResponseHasAnOutputUnlessToldOtherwise) {
  start_kserve();
  const std::vector<Streamed> found = exchange({infer("sparsefusion_stream", "a")})["a"];
  ASSERT_EQ(found.size(), 2u);
  EXPECT_FALSE(is_final(found[0].infer_response()));
  EXPECT_TRUE(is_final(found[1].infer_response()));
  EXPECT_EQ(answer_of(found[1].infer_response()), "");
}

TEST_F(KserveStreamTest, ABatchIsAnsweredWholeAndNotInParts) {
  start_kserve();
  for (const bool in_parts : {false, true}) {
    Request request = infer(in_parts ? "sparsefusion_stream" : "sparsefusion", "a");
    (*request.mutable_parameters())["stream"].set_bool_param(in_parts);
    request.mutable_inputs(1)->set_shape(0, 2);
    request.set_raw_input_contents(1, join_bytes_tensor({"q0", "q1"}));
    const std::vector<Streamed> found = exchange({request})["a"];
    ASSERT_EQ(found.size(), 1u);
    if (in_parts) {
      EXPECT_NE(found[0].error_message().find("QUESTION: one question a request"), std::string::npos);
    } else {
      EXPECT_EQ(split_bytes_tensor(found[0].infer_response().raw_output_contents(0), 2, "ANSWER").size(), 2u);
    }
  }
}

TEST_F(KserveStreamTest, TheUnaryNameAnswersOnce) {
  service.deltas = {"red", " circle"};
  start_kserve();
  Request request = infer("sparsefusion", "a");
  enable_empty_final(request);
  const std::vector<Streamed> found = exchange({request})["a"];
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(answer_of(found[0].infer_response()), "red circle");
  EXPECT_TRUE(is_final(found[0].infer_response()));
}

TEST_F(KserveStreamTest, KeepsManyRequestsApart) {
  service.deltas = {"a", "b", "c"};
  start_kserve();
  std::vector<Request> requests;
  for (int i = 0; i < 20; ++i) requests.push_back(infer("sparsefusion_stream", std::to_string(i)));
  const auto found = exchange(requests);
  ASSERT_EQ(found.size(), 20u);
  for (const auto& [id, responses] : found) {
    std::string text;
    int finals = 0;
    for (const Streamed& response : responses) {
      text += answer_of(response.infer_response());
      finals += is_final(response.infer_response()) ? 1 : 0;
    }
    EXPECT_EQ(text, "abc") << id;
    EXPECT_EQ(finals, 1) << id;
  }
}

TEST_F(KserveStreamTest, TellsErrorsInTheStreamAndGoesOn) {
  start_kserve();
  grpc::ClientContext context;
  const auto stream = open(context);
  Request bad = infer("sparsefusion_stream", "bad");
  bad.set_raw_input_contents(0, "x");
  Streamed response;
  ASSERT_TRUE(stream->Write(bad));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_NE(response.error_message().find("IMAGE"), std::string::npos);
  EXPECT_EQ(response.infer_response().id(), "bad");
  EXPECT_EQ(response.infer_response().parameters().at("code").string_param(), "INVALID_ARGUMENT");
  EXPECT_TRUE(is_final(response.infer_response()));
  ASSERT_TRUE(stream->Write(infer("other", "unknown")));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.infer_response().parameters().at("code").string_param(), "NOT_FOUND");
  ASSERT_TRUE(stream->Write(infer("sparsefusion", std::string(257, 'x'))));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_NE(response.error_message().find("id: at most 256"), std::string::npos);
  EXPECT_EQ(response.infer_response().id(), "");
  ASSERT_TRUE(stream->Write(infer("sparsefusion", "good")));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(answer_of(response.infer_response()), "circle");
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(service.wait_for_rejected(3).size(), 3u);
}

TEST_F(KserveStreamTest, TellsFailuresOfTheServiceInTheStream) {
  service.stream_error = Error(Code::kInternal, "secret");
  start_kserve();
  std::vector<Streamed> found = exchange({infer("sparsefusion_stream", "a")})["a"];
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(answer_of(found[0].infer_response()), "circle");
  EXPECT_NE(found[1].error_message(), "");
  EXPECT_EQ(found[1].error_message().find("secret"), std::string::npos);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "INTERNAL");
  service.submit_error = Error(Code::kResourceExhausted, "full", "", Reason::kQueueFull);
  found = exchange({infer("sparsefusion_stream", "a")})["a"];
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].error_message(), "full");
  EXPECT_EQ(service.wait_for_finished(2).at(1).code, "RESOURCE_EXHAUSTED");
}

TEST_F(KserveStreamTest, AnErrorEndsTheCallForThoseWhoAskForIt) {
  start_kserve();
  service.hang_before_text = true;
  grpc::ClientContext context;
  context.AddMetadata("triton_grpc_error", "true");
  const auto stream = open(context);
  ASSERT_TRUE(stream->Write(infer("sparsefusion_stream", "waits")));
  EXPECT_EQ(service.wait_for_submitted(1), 1);
  ASSERT_TRUE(stream->Write(infer("other", "bad")));
  Streamed response;
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_NE(status.error_message().find("unknown model"), std::string::npos);
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
}

TEST_F(KserveStreamTest, FreesEverySlotWhenTheClientLeaves) {
  service.hang_after_text = true;
  start_kserve();
  grpc::ClientContext context;
  const auto stream = open(context);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(stream->Write(infer("sparsefusion_stream", std::to_string(i))));
  Streamed response;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_EQ(service.wait_for_cancelled(5), 5);
  const auto finished = service.wait_for_finished(5);
  ASSERT_EQ(finished.size(), 5u);
  for (const FakeRecord& record : finished) EXPECT_EQ(record.code, "CANCELLED");
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
}

TEST_F(KserveStreamTest, ReadsNoMoreThanMayBeInFlight) {
  service.hang_before_text = true;
  GrpcOptions options;
  options.max_stream_requests = 2;
  start_kserve(options);
  grpc::ClientContext context;
  const auto stream = open(context);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(stream->Write(infer("sparsefusion_stream", std::to_string(i))));
  EXPECT_EQ(service.wait_for_submitted(2), 2);
  // A call on another stream is served meanwhile, so the third had its chance.
  service.hang_before_text = false;
  ASSERT_TRUE(ask_kserve(infer()).ok());
  EXPECT_EQ(service.requests().size(), 3u);
  context.TryCancel();
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
  stream->Finish();
}

TEST_F(KserveStreamTest, BoundsTheStreams) {
  GrpcOptions options;
  options.max_infer_streams = 1;
  start_kserve(options);
  grpc::ClientContext first, second;
  const auto one = open(first);
  Streamed response;
  ASSERT_TRUE(one->Write(infer("sparsefusion", "a")));
  ASSERT_TRUE(one->Read(&response));
  const auto two = open(second);
  EXPECT_FALSE(two->Read(&response));
  EXPECT_EQ(two->Finish().error_code(), grpc::RESOURCE_EXHAUSTED);
  one->WritesDone();
  EXPECT_TRUE(one->Finish().ok());
}

TEST_F(KserveStreamTest, StopEndsIdleAndBusyStreams) {
  service.hang_after_text = true;
  start_kserve();
  grpc::ClientContext idle_context, busy_context;
  const auto idle = open(idle_context);
  const auto busy = open(busy_context);
  ASSERT_TRUE(busy->Write(infer("sparsefusion_stream", "a")));
  Streamed response;
  ASSERT_TRUE(busy->Read(&response));
  server().stop();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_FALSE(idle->Read(&response));
  EXPECT_FALSE(busy->Read(&response));
  EXPECT_EQ(idle->Finish().error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(busy->Finish().error_code(), grpc::UNAVAILABLE);
}

}  // namespace
}  // namespace sf::server
