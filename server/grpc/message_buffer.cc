#include "server/grpc/message_buffer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <vector>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf::server {
namespace {

std::string copy_bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  bytes.reserve(buffer.Length());
  if (!buffer.Dump(&slices).ok()) throw Error(Code::kInvalidArgument, "the message cannot be read");
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// The top-level text field whose bytes are not UTF-8; empty if that is not what is wrong.
std::string field_without_utf8(const std::string& bytes, const google::protobuf::Descriptor& descriptor) {
  google::protobuf::UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return "";
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    if (field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) continue;
    const google::protobuf::FieldDescriptor* known = descriptor.FindFieldByNumber(field.number());
    if (known == nullptr || known->type() != google::protobuf::FieldDescriptor::TYPE_STRING) continue;
    if (!is_valid_utf8(field.length_delimited())) return known->name();
  }
  return "";
}

}  // namespace

size_t parse_message(const grpc::ByteBuffer& buffer, google::protobuf::Message& message) {
  const std::string bytes = copy_bytes(buffer);
  if (message.ParseFromString(bytes)) return bytes.size();
  const std::string field = field_without_utf8(bytes, *message.GetDescriptor());
  if (!field.empty()) throw invalid_argument(field, field, ": not valid UTF-8");
  throw invalid_argument("", "the message is not a valid ", message.GetDescriptor()->name());
}

grpc::ByteBuffer serialize_message(const google::protobuf::Message& message) {
  grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace sf::server
