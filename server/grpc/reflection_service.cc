#include "server/grpc/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>
#include <utility>

#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "server/grpc/message_buffer.h"

namespace sf::server {
namespace {

namespace wire = grpc::reflection::v1;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

constexpr const char* kNames[] = {"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"};
constexpr size_t kMaxRequestBytes = 64 << 10;

void add_file(const FileDescriptor& file, std::set<const FileDescriptor*>& seen, wire::FileDescriptorResponse& found) {
  if (!seen.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  found.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) add_file(*file.dependency(i), seen, found);
}

// The file and what it imports, so that a client needs to ask once.
void set_file(const FileDescriptor* file, wire::ServerReflectionResponse& response) {
  if (file == nullptr) {
    response.mutable_error_response()->set_error_code(grpc::NOT_FOUND);
    response.mutable_error_response()->set_error_message("not known here");
    return;
  }
  std::set<const FileDescriptor*> seen;
  add_file(*file, seen, *response.mutable_file_descriptor_response());
}

const FileDescriptor* file_of_extension(const DescriptorPool& pool, const wire::ExtensionRequest& request) {
  const auto* type = pool.FindMessageTypeByName(request.containing_type());
  const auto* extension = type ? pool.FindExtensionByNumber(type, request.extension_number()) : nullptr;
  return extension ? extension->file() : nullptr;
}

void set_extension_numbers(const DescriptorPool& pool, const std::string& name,
                           wire::ServerReflectionResponse& response) {
  const auto* type = pool.FindMessageTypeByName(name);
  if (type == nullptr) {
    set_file(nullptr, response);
    return;
  }
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  wire::ExtensionNumberResponse& numbers = *response.mutable_all_extension_numbers_response();
  numbers.set_base_type_name(name);
  for (const auto* extension : extensions) numbers.add_extension_number(extension->number());
}

wire::ServerReflectionResponse reflect(const wire::ServerReflectionRequest& request,
                                       const std::vector<std::string>& names) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  wire::ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case wire::ServerReflectionRequest::kListServices:
      for (const std::string& name : names) response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case wire::ServerReflectionRequest::kFileByFilename:
      set_file(pool.FindFileByName(request.file_by_filename()), response);
      break;
    case wire::ServerReflectionRequest::kFileContainingSymbol:
      set_file(pool.FindFileContainingSymbol(request.file_containing_symbol()), response);
      break;
    case wire::ServerReflectionRequest::kFileContainingExtension:
      set_file(file_of_extension(pool, request.file_containing_extension()), response);
      break;
    case wire::ServerReflectionRequest::kAllExtensionNumbersOfType:
      set_extension_numbers(pool, request.all_extension_numbers_of_type(), response);
      break;
    case wire::ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::UNIMPLEMENTED);
      response.mutable_error_response()->set_error_message("this question is not known");
      break;
  }
  return response;
}

}  // namespace

class ReflectionService::Handler final : public CallHandler {
 public:
  Handler(const std::vector<std::string>& names, GrpcCall& call) : names_(names), call_(call) {}

  void on_message(grpc::ByteBuffer message) override {
    call_.post([this, message = std::move(message)] {
      wire::ServerReflectionRequest request;
      parse_message(message, request, kMaxRequestBytes);
      call_.write(serialize_message(reflect(request, names_)));
    });
  }
  void on_half_close() override { call_.finish(grpc::Status::OK); }
  void on_written() override { call_.read(); }

 private:
  const std::vector<std::string>& names_;
  GrpcCall& call_;
};

ReflectionService::ReflectionService(std::vector<std::string> names, double idle_s)
    : names_(std::move(names)), idle_s_(idle_s) {
  names_.insert(names_.end(), std::begin(kNames), std::end(kNames));
  // Each links what describes it.
  grpc::health::v1::HealthCheckRequest::descriptor();
  grpc::reflection::v1alpha::ServerReflectionRequest::descriptor();
}

void ReflectionService::register_methods(CallRouter& router) {
  Method method;
  method.access = Access::kAnyKey;
  method.idle_s = idle_s_;
  method.serve = [this](GrpcCall& call) { return std::make_unique<Handler>(names_, call); };
  for (const char* name : kNames) router.add(std::string("/") + name + "/ServerReflectionInfo", method);
}

}  // namespace sf::server
