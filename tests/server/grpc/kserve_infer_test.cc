#include <thread>

#include "tests/server/grpc/kserve_fixture.h"

namespace sf::server {
namespace {

class KserveGrpcTest : public KserveFixture {};

TEST_F(KserveGrpcTest, AnswersRawAndTypedInputsInRawForm) {
  service.deltas = {"red", " circle"};
  start_kserve();
  for (Request request : {infer(), typed_infer()}) {
    request.set_id("mine");
    Response response;
    const grpc::Status status = ask_kserve(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.model_name(), "sparsefusion");
    EXPECT_EQ(response.model_version(), "3");
    EXPECT_EQ(response.id(), "mine");
    ASSERT_EQ(response.outputs_size(), 1);
    EXPECT_EQ(response.outputs(0).name(), "ANSWER");
    EXPECT_EQ(response.outputs(0).datatype(), "BYTES");
    EXPECT_EQ(response.outputs(0).shape_size(), 1);
    EXPECT_FALSE(response.outputs(0).has_contents());
    EXPECT_EQ(answer_of(response), "red circle");
    EXPECT_EQ(response.parameters().at("finish_reason").string_param(), "stop");
    EXPECT_EQ(response.parameters().at("prompt_tokens").int64_param(), 20);
  }
  const AnswerRequest seen = service.requests().at(1);
  EXPECT_EQ(seen.api, "kserve_grpc");
  EXPECT_EQ(seen.messages.at(0).parts.at(0).data, "picture");
  EXPECT_EQ(seen.messages.at(0).parts.at(1).data, "what shape?");
  const auto finished = service.wait_for_finished(2);
  EXPECT_EQ(finished.at(0).api, "kserve_grpc");
  EXPECT_EQ(finished.at(0).code, "OK");
  EXPECT_TRUE(finished.at(0).has_summary);
}

TEST_F(KserveGrpcTest, PassesParametersMetadataAndTheDeadlineOn) {
  start_kserve();
  Request request = infer();
  request.set_model_version("3");
  request.add_outputs()->set_name("ANSWER");
  auto& parameters = *request.mutable_parameters();
  parameters["max_tokens"].set_int64_param(7);
  parameters["temperature"].set_double_param(0.5);
  parameters["seed"].set_uint64_param(UINT64_MAX);
  parameters["stop"].set_string_param("x");
  parameters["priority"].set_uint64_param(2);
  parameters["timeout"].set_int64_param(1'234'000);
  parameters["triton_enable_empty_final_response"].set_bool_param(true);
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "my-id");
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(50));
  Response response;
  ASSERT_TRUE(kserve->ModelInfer(&context, request, &response).ok());
  const AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.request_id, "my-id");
  EXPECT_EQ(seen.sampling.max_tokens, 7);
  EXPECT_EQ(seen.sampling.temperature, 0.5f);
  EXPECT_EQ(seen.sampling.seed, UINT64_MAX);
  EXPECT_EQ(seen.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(seen.priority, Priority::kBatch);
  EXPECT_EQ(seen.timeout_ms, 1234);
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-request-id")->second, "my-id");
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-model-version")->second, "3");
}

TEST_F(KserveGrpcTest, NamesWhatIsWrong) {
  start_kserve();
  const auto with = [](const std::function<void(Request&)>& change, Request request = infer()) {
    change(request);
    return request;
  };
  const std::string far("\xff\xff\xff\x7f", 4);
  const std::tuple<const char*, const char*, Request> cases[] = {
      {"IMAGE", "IMAGE is missing", with([](auto& r) {
         r.clear_inputs();
         r.clear_raw_input_contents();
       })},
      {"QUESTION", "QUESTION is missing", with([](auto& r) {
         r.mutable_inputs()->RemoveLast();
         r.mutable_raw_input_contents()->RemoveLast();
       })},
      {"IMAGE", "given twice", with([](auto& r) {
         add_input(r, "IMAGE");
         r.add_raw_input_contents(join_bytes_tensor({"other"}));
       })},
      {"PICTURE", "unknown input", with([](auto& r) { r.mutable_inputs(0)->set_name("PICTURE"); })},
      {"IMAGE", "datatype must be BYTES", with([](auto& r) { r.mutable_inputs(0)->set_datatype("FP32"); })},
      {"IMAGE", "the data ends before element 1", with([](auto& r) { r.mutable_inputs(0)->set_shape(0, 2); })},
      {"IMAGE", "at most 32 elements (max_batch), got [33]",
       with([](auto& r) { r.mutable_inputs(0)->set_shape(0, 33); })},
      {"IMAGE", "got [0]", with([](auto& r) { r.mutable_inputs(0)->set_shape(0, 0); })},
      {"IMAGE", "got []", with([](auto& r) { r.mutable_inputs(0)->clear_shape(); })},
      {"IMAGE", "got [1,2]", with([](auto& r) { r.mutable_inputs(0)->add_shape(2); })},
      {"IMAGE", "as many as QUESTION, which has 1; has 2", with([](auto& r) {
         r.mutable_inputs(0)->set_shape(0, 2);
         r.set_raw_input_contents(0, join_bytes_tensor({"a", "b"}));
       })},
      {"IMAGE", "binary_data_size does not match the 11 bytes",
       with([](auto& r) { (*r.mutable_inputs(0)->mutable_parameters())["binary_data_size"].set_int64_param(12); })},
      {"stream", "must be false here", with([](auto& r) { (*r.mutable_parameters())["stream"].set_bool_param(true); })},
      {"IMAGE", "got [-1]", with([](auto& r) { r.mutable_inputs(0)->set_shape(0, -1); })},
      {"IMAGE", "got [1,4611686018427387904,8]", with([](auto& r) {
         r.mutable_inputs(0)->add_shape(int64_t{1} << 62);
         r.mutable_inputs(0)->add_shape(8);
       })},
      {"raw_input_contents", "has 1 entries for 2",
       with([](auto& r) { r.mutable_raw_input_contents()->RemoveLast(); })},
      {"raw_input_contents", "has 3 entries for 2", with([](auto& r) { r.add_raw_input_contents("x"); })},
      {"IMAGE", "contents beside raw",
       with([](auto& r) { r.mutable_inputs(0)->mutable_contents()->add_bytes_contents("picture"); })},
      {"IMAGE", "bytes_contents must have 1 elements as the shape says, has 0",
       with([](auto& r) { r.clear_raw_input_contents(); })},
      {"IMAGE", "has 2",
       with([](auto& r) { r.mutable_inputs(0)->mutable_contents()->add_bytes_contents("x"); }, typed_infer())},
      {"IMAGE", "another type",
       with([](auto& r) { r.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1); }, typed_infer())},
      {"IMAGE", "claims 2147483647 bytes, 7 are left",
       with([&](auto& r) { r.set_raw_input_contents(0, far + "picture"); })},
      {"QUESTION", "the data ends", with([](auto& r) { r.set_raw_input_contents(1, "abc"); })},
      {"QUESTION", "bytes after the last", with([](auto& r) { r.mutable_raw_input_contents(1)->append("x"); })},
      {"IMAGE", "shared_memory_region is not supported", with([](auto& r) {
         (*r.mutable_inputs(0)->mutable_parameters())["shared_memory_region"].set_string_param("r");
       })},
      {"LOGITS", "unknown output", with([](auto& r) { r.add_outputs()->set_name("LOGITS"); })},
      {"max_token", "unknown parameter",
       with([](auto& r) { (*r.mutable_parameters())["max_token"].set_int64_param(1); })},
      {"max_tokens", "has no value", with([](auto& r) { (*r.mutable_parameters())["max_tokens"]; })},
      {"max_tokens", "at least 1", with([](auto& r) { (*r.mutable_parameters())["max_tokens"].set_int64_param(0); })},
      {"sequence_id", "sequences", with([](auto& r) { (*r.mutable_parameters())["sequence_id"].set_int64_param(1); })},
      {"question", "UTF-8", with([](auto& r) { r.set_raw_input_contents(1, join_bytes_tensor({"\xff"})); })},
      {"id", "at most 256", with([](auto& r) { r.set_id(std::string(257, 'x')); })},
      {"model_name", "decoupled", with([](auto& r) { r.set_model_name("sparsefusion_stream"); })}};
  for (const auto& [field, says, request] : cases) {
    const grpc::Status status = ask_kserve(request);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << says;
    EXPECT_EQ(bad_field(status), field);
    EXPECT_NE(status.error_message().find(says), std::string::npos) << status.error_message();
  }
  EXPECT_TRUE(service.requests().empty());
  const auto rejected = service.wait_for_rejected(std::size(cases));
  EXPECT_EQ(rejected.at(0).api, "kserve_grpc");
  EXPECT_EQ(rejected.at(0).code, "INVALID_ARGUMENT");
}

TEST_F(KserveGrpcTest, TakesWhatKservesOwnClientSends) {
  start_kserve();
  Request request = infer();
  for (int i = 0; i < 2; ++i) {
    (*request.mutable_inputs(i)->mutable_parameters())["binary_data_size"].set_int64_param(
        static_cast<int64_t>(request.raw_input_contents(i).size()));
  }
  (*request.add_outputs()->mutable_parameters())["binary_data"].set_bool_param(true);
  request.mutable_outputs(0)->set_name("ANSWER");
  (*request.mutable_parameters())["stream"].set_bool_param(false);
  EXPECT_TRUE(ask_kserve(request).ok());
}

TEST_F(KserveGrpcTest, AShapeMayHaveAColumnOfOne) {
  start_kserve();
  Request request = infer();
  for (int i = 0; i < 2; ++i) request.mutable_inputs(i)->add_shape(1);
  Response response;
  ASSERT_TRUE(ask_kserve(request, &response).ok());
  ASSERT_EQ(response.outputs(0).shape_size(), 2);
  EXPECT_EQ(response.outputs(0).shape(1), 1);
}

TEST_F(KserveGrpcTest, ABatchOfQuestionsGetsAnAnswerEach) {
  start_kserve();
  for (const bool has_one_image : {true, false}) {
    for (const bool typed : {true, false}) {
      Request request = infer();
      const std::vector<std::string> images =
          has_one_image ? std::vector<std::string>{"p"} : std::vector<std::string>{"p0", "p1", "p2"};
      const std::vector<std::string> questions = {"q0", "q1", "q2"};
      request.mutable_inputs(0)->set_shape(0, static_cast<int64_t>(images.size()));
      request.mutable_inputs(1)->set_shape(0, 3);
      request.set_raw_input_contents(0, join_bytes_tensor(images));
      request.set_raw_input_contents(1, join_bytes_tensor(questions));
      if (typed) {
        request.clear_raw_input_contents();
        for (const std::string& image : images) {
          request.mutable_inputs(0)->mutable_contents()->add_bytes_contents(image);
        }
        for (const std::string& text : questions) {
          request.mutable_inputs(1)->mutable_contents()->add_bytes_contents(text);
        }
      }
      const size_t seen_before = service.requests().size();
      Response response;
      const grpc::Status status = ask_kserve(request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.outputs(0).shape(0), 3);
      EXPECT_EQ(split_bytes_tensor(response.raw_output_contents(0), 3, "ANSWER"),
                (std::vector<std::string>{"circle", "circle", "circle"}));
      EXPECT_EQ(response.parameters().at("prompt_tokens").int64_param(), 60);
      const std::vector<AnswerRequest> seen = service.requests();
      ASSERT_EQ(seen.size(), seen_before + 3);
      for (size_t i = 0; i < 3; ++i) {
        const std::vector<Part>& parts = seen[seen_before + i].messages.at(0).parts;
        EXPECT_EQ(parts.at(0).data, has_one_image ? "p" : "p" + std::to_string(i));
        EXPECT_EQ(parts.at(1).data, "q" + std::to_string(i));
      }
    }
  }
  EXPECT_EQ(service.wait_for_finished(4).size(), 4u) << "one a call";
}

TEST_F(KserveGrpcTest, ABatchThatFindsTheQueueFullIsRefusedWhole) {
  service.hang_before_text = true;
  service.refuse_from = 3;
  start_kserve();
  Request request = infer();
  request.mutable_inputs(1)->set_shape(0, 3);
  request.set_raw_input_contents(1, join_bytes_tensor({"q0", "q1", "q2"}));
  EXPECT_EQ(ask_kserve(request).error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
}

// Triton's clients tell a server without an extension by this.
TEST_F(KserveGrpcTest, ExtensionsThatAreNotHereAreUnimplementedWithoutAWord) {
  start();
  for (const char* method : {"SystemSharedMemoryStatus", "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister",
                             "CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister",
                             "TraceSetting", "LogSettings"}) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    const std::string path = concat("/inference.GRPCInferenceService/", method);
    const grpc::internal::RpcMethod rpc(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
        channel.get(), rpc, &context, to_buffer(""), &response);
    EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED) << method;
    EXPECT_EQ(status.error_message(), "") << method;
  }
}

TEST_F(KserveGrpcTest, KnowsItsModelsAndVersions) {
  start_kserve();
  Request request = infer("other");
  EXPECT_EQ(ask_kserve(request).error_code(), grpc::NOT_FOUND);
  request = infer();
  request.set_model_version("2");
  EXPECT_EQ(ask_kserve(request).error_code(), grpc::NOT_FOUND);
  service.published = false;
  const grpc::Status loading = ask_kserve(infer());
  EXPECT_EQ(loading.error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(details(loading).count("RetryInfo"), 1u);
}

TEST_F(KserveGrpcTest, BoundsMessages) {
  GrpcOptions options;
  options.limits.max_body_bytes = 1 << 20;
  start_kserve(options);
  Request request = infer();
  request.set_raw_input_contents(0, join_bytes_tensor({std::string(2 << 20, 'a')}));
  EXPECT_EQ(ask_kserve(request).error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(ask_kserve(infer()).ok());
}

TEST_F(KserveGrpcTest, CancelsWhenTheClientLeaves) {
  service.hang_before_text = true;
  start_kserve();
  grpc::ClientContext context;
  std::thread caller([&] {
    Response response;
    EXPECT_EQ(kserve->ModelInfer(&context, infer(), &response).error_code(), grpc::CANCELLED);
  });
  EXPECT_EQ(service.wait_for_submitted(1), 1);
  context.TryCancel();
  caller.join();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "CANCELLED");
}

TEST_F(KserveGrpcTest, HidesInternalErrors) {
  service.throw_unknown = true;
  start_kserve();
  const grpc::Status status = ask_kserve(infer());
  EXPECT_EQ(status.error_code(), grpc::INTERNAL);
  EXPECT_EQ(status.error_message().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace sf::server
