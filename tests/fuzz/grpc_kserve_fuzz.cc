// The bytes of a ModelInferRequest as they come over gRPC: parsed, translated, and made into a question.
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "server/grpc/infer_messages.h"
#include "server/grpc/message_buffer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const grpc::Slice slice(bytes, size);
  const grpc::ByteBuffer buffer(&slice, 1);
  const sf::server::ServedModel model{"m", false, {.id = "m", .version = 3, .info = {}}};
  try {
    inference::ModelInferRequest message;
    if (sf::server::parse_message(buffer, message, size) != size) std::abort();
    sf::server::InferRequest request = sf::server::infer_request_from(message, 32);
    sf::server::InferBatch batch(std::move(request), model, /*in_parts=*/false, "id", "kserve_grpc");
    if (batch.size() == 0 || batch.size() > 32) std::abort();
    for (size_t i = 0; i < batch.size(); ++i) {
      const sf::server::AnswerRequest answer = batch.request(i);
      // The image and the question, which the tokenizer takes for text.
      if (answer.messages.size() != 1 || answer.messages[0].parts.size() != 2) std::abort();
      if (!sf::is_valid_utf8(answer.messages[0].parts.back().data)) std::abort();
    }
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kInvalidArgument && error.code() != sf::Code::kResourceExhausted) std::abort();
  }
  return 0;
}
