// A gRPC server on a free port in front of a FakeService, and raw calls to it.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/support/sync_stream.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "server/grpc/grpc_server.h"
#include "sparsefusion/rpc/status.pb.h"
#include "sparsefusion/v1/vqa.grpc.pb.h"
#include "tests/support/fake_service.h"
#include "tests/support/sanitizers.h"

namespace sf::server {

namespace wire = sparsefusion::v1;

inline grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

inline const std::string kListServices("\x3a\x00", 2);  // to reflection: list_services of ""

// What this process holds.
inline double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

inline std::string to_bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// One length-delimited field of a message, by hand: its tag, its length (below 128), its bytes.
inline std::string field_bytes(char tag, const std::string& value) {
  std::string bytes;
  bytes.push_back(tag);
  bytes.push_back(static_cast<char>(value.size()));
  return bytes += value;
}

class GrpcFixture : public testing::Test {
 protected:
  // REQUIRES: service is set up before.
  void start(GrpcOptions options = {}) {
    options.port = 0;
    server_ = std::make_unique<GrpcServer>(options, service);
    server_->start();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                        grpc::InsecureChannelCredentials(), arguments);
    stub = wire::VisualQuestionAnswering::NewStub(channel);
  }
  GrpcServer& server() { return *server_; }

  static wire::AnswerRequest question(const std::string& image = "picture") {
    wire::AnswerRequest request;
    request.set_image(image);
    request.set_question("what shape?");
    return request;
  }
  grpc::Status ask(const wire::AnswerRequest& request, wire::AnswerResponse* response = nullptr) {
    grpc::ClientContext context;
    wire::AnswerResponse ignored;
    return stub->Answer(&context, request, response ? response : &ignored);
  }
  // Sends bytes that no generated client would.
  grpc::Status ask_raw(const std::string& bytes) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    const grpc::internal::RpcMethod method("/sparsefusion.v1.VisualQuestionAnswering/Answer",
                                           grpc::internal::RpcMethod::NORMAL_RPC);
    return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel.get(), method, &context,
                                                                                 to_buffer(bytes), &response);
  }
  using RawStream = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  std::unique_ptr<RawStream> reflect(grpc::ClientContext& context, const std::string& version = "v1alpha") const {
    const std::string path = "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo";
    const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING);
    return std::unique_ptr<RawStream>(
        grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(channel.get(), method,
                                                                                              &context));
  }
  // The details of a refused call, by the last part of their type.
  static std::map<std::string, std::string> details(const grpc::Status& status) {
    sparsefusion::rpc::Status message;
    std::map<std::string, std::string> found;
    if (!message.ParseFromString(status.error_details())) return found;
    for (const auto& any : message.details()) found[any.type_url().substr(any.type_url().rfind('.') + 1)] = any.value();
    return found;
  }
  static std::string bad_field(const grpc::Status& status) {
    sparsefusion::rpc::BadRequest bad_request;
    bad_request.ParseFromString(details(status)["BadRequest"]);
    return bad_request.field_violations_size() == 1 ? bad_request.field_violations(0).field() : "";
  }

  FakeService service;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<wire::VisualQuestionAnswering::Stub> stub;

 private:
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace sf::server
