// Messages in and out of the raw bytes that a call carries. The generated handlers parse before we can look: a text
// that is not UTF-8 or a torn message then ends as INTERNAL without a word. These say INVALID_ARGUMENT and the field.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>

namespace sf::server {

// Effect: parses `buffer` into `message`. Returns the number of bytes.
// Errors: InvalidArgument for bytes that are not this message, naming the field whose text is not UTF-8.
size_t parse_message(const grpc::ByteBuffer& buffer, google::protobuf::Message& message);

grpc::ByteBuffer serialize_message(const google::protobuf::Message& message);

}  // namespace sf::server
