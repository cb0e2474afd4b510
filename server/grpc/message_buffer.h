// Messages in and out of the raw bytes that a call carries. The generated handlers parse before we can look: a text
// that is not UTF-8 or a torn message then ends as INTERNAL without a word. These say INVALID_ARGUMENT and the field.
//
//   inference::ModelInferRequest message;
//   const size_t num_bytes = parse_message(buffer, message, limits.max_body_bytes);
//
// Thread-safe: free functions.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>

namespace sf::server {

// Effect: parses `buffer` into `message`; one that the client compressed (gzip, deflate) is inflated as it is parsed,
// and no further than `max_bytes`. Returns the number of bytes, inflated. Errors: ResourceExhausted above `max_bytes`;
// InvalidArgument for bytes that are not this message, naming the field whose text is not UTF-8.
// REQUIRES: gRPC itself inflates nothing (grpc.per_message_decompression is 0).
size_t parse_message(const grpc::ByteBuffer& buffer, google::protobuf::Message& message, size_t max_bytes);

grpc::ByteBuffer serialize_message(const google::protobuf::Message& message);

}  // namespace sf::server
