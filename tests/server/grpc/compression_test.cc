// Messages that a client compressed: inflated under our limit, and only after the key was looked at.
#include <zlib.h>

#include "tests/server/grpc/kserve_fixture.h"
#include "tests/support/raw_http2.h"

namespace sf::server {
namespace {

class CompressionTest : public KserveFixture {
 protected:
  static std::string gzip(const std::string& bytes) {
    z_stream zlib{};
    constexpr int kGzip = 16 + MAX_WBITS;
    EXPECT_EQ(deflateInit2(&zlib, 9, Z_DEFLATED, kGzip, 9, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&zlib, bytes.size()) + 32, '\0');
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    zlib.avail_in = static_cast<uInt>(bytes.size());
    zlib.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    out.resize(zlib.total_out);
    deflateEnd(&zlib);
    return out;
  }
  // Sends what is no proper gzip stream; gives the code that the refusal was counted under.
  std::string refusal_of(const std::string& bytes) {
    RawHttp2 client(server().port());
    const uint32_t stream = client.open("/sparsefusion.v1.VisualQuestionAnswering/Answer", {{"grpc-encoding", "gzip"}});
    client.send_message(stream, bytes, /*compressed=*/true);
    EXPECT_TRUE(client.read_until([&] { return client.has_ended(stream); }));
    const auto rejected = service.wait_for_rejected(++num_rejected_);
    return rejected.size() == num_rejected_ ? rejected.back().code : "none";
  }

  size_t num_rejected_ = 0;
};

TEST_F(CompressionTest, StockClientsMayCompressOnEveryApi) {
  start_kserve();
  const wire::AnswerRequest asked = question(std::string(100'000, 'a'));
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext answer, stream, infer_call, infer_stream;
    for (grpc::ClientContext* context : {&answer, &stream, &infer_call, &infer_stream}) {
      context->set_compression_algorithm(algorithm);
    }
    wire::AnswerResponse response;
    EXPECT_TRUE(stub->Answer(&answer, asked, &response).ok());
    const auto reader = stub->StreamAnswer(&stream, asked);
    wire::StreamAnswerResponse event;
    while (reader->Read(&event)) continue;
    EXPECT_TRUE(reader->Finish().ok());
    Request request = infer();
    request.set_raw_input_contents(0, join_bytes_tensor({std::string(100'000, 'a')}));
    Response inferred;
    EXPECT_TRUE(kserve->ModelInfer(&infer_call, request, &inferred).ok());
    const auto call = kserve->ModelStreamInfer(&infer_stream);
    inference::ModelStreamInferResponse streamed;
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(call->Write(request));
      ASSERT_TRUE(call->Read(&streamed));
      EXPECT_EQ(streamed.error_message(), "");
    }
    call->WritesDone();
    EXPECT_TRUE(call->Finish().ok());
  }
  for (const AnswerRequest& seen : service.requests()) {
    EXPECT_EQ(seen.messages.at(0).parts.at(0).data, std::string(100'000, 'a'));
  }
  EXPECT_EQ(service.requests().size(), 12u);
}

TEST_F(CompressionTest, SoDoHealthAndReflection) {
  start_kserve();
  grpc::ClientContext health, reflection;
  health.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  reflection.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  inference::ServerLiveResponse live;
  EXPECT_TRUE(kserve->ServerLive(&health, {}, &live).ok());
  const auto stream = reflect(reflection);
  grpc::ByteBuffer response;
  // A symbol long enough that the client finds it worth compressing.
  std::string symbol(100, 'a');
  ASSERT_TRUE(stream->Write(to_buffer(field_bytes('\x22', symbol))));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_NE(to_bytes(response).find("not known here"), std::string::npos);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(CompressionTest, TheLimitIsOfWhatComesOut) {
  GrpcOptions options;
  options.limits.max_body_bytes = 1 << 20;
  start_kserve(options);
  for (const auto& [size, code] : {std::pair{(1 << 20) - 1000, grpc::OK}, {2 << 20, grpc::RESOURCE_EXHAUSTED}}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    wire::AnswerResponse response;
    EXPECT_EQ(stub->Answer(&context, question(std::string(static_cast<size_t>(size), 'a')), &response).error_code(),
              code);
  }
  EXPECT_EQ(service.wait_for_rejected(1).at(0).reason, "too_large");
}

TEST_F(CompressionTest, ABombIsNotInflated) {
  start_kserve();
  const std::string bomb = gzip(question(std::string(64 << 20, '\0')).SerializeAsString());
  const double before_mib = resident_mib();
  EXPECT_EQ(refusal_of(bomb), "RESOURCE_EXHAUSTED");
  EXPECT_LT(kMemoryIsGivenBack ? resident_mib() - before_mib : 0, 40);
  for (const char* open : {"/grpc.health.v1.Health/Check", "/inference.GRPCInferenceService/ServerLive"}) {
    RawHttp2 client(server().port());
    const uint32_t stream = client.open(open, {{"grpc-encoding", "gzip"}});
    client.send_message(stream, bomb, /*compressed=*/true);
    EXPECT_TRUE(client.read_until([&] { return client.has_ended(stream); }));
  }
}

TEST_F(CompressionTest, WithoutAKeyNothingIsInflated) {
  KeyRing keys(parse_api_keys("alice " + hash_api_key("infer-key") + " infer\n"), [] { return 0.0; });
  start_kserve({.keys = &keys});
  EXPECT_EQ(refusal_of("no gzip at all"), "UNAUTHENTICATED");
}

TEST_F(CompressionTest, DamagedStreamsAreTheCallersFault) {
  start_kserve();
  const std::string good = gzip(question().SerializeAsString());
  for (size_t size = 0; size < good.size(); size += 3) {
    EXPECT_EQ(refusal_of(good.substr(0, size)), "INVALID_ARGUMENT") << size;
  }
  EXPECT_EQ(refusal_of(good + "x"), "INVALID_ARGUMENT");
  std::string flipped = good;
  flipped[flipped.size() - 6] ^= 1;  // of the checksum
  EXPECT_EQ(refusal_of(flipped), "INVALID_ARGUMENT");
  EXPECT_EQ(refusal_of("no gzip at all"), "INVALID_ARGUMENT");
  EXPECT_TRUE(service.requests().empty());
}

}  // namespace
}  // namespace sf::server
