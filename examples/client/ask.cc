// ask HOST:PORT PICTURE QUESTION: one answer over gRPC, then the same as a stream over it.
#include <fstream>
#include <iostream>
#include <iterator>

#include "client/client.h"
#include "client/retry.h"

int main(int argc, char** argv) {
  using namespace sf::client;
  if (argc != 4) {
    std::cerr << "usage: ask HOST:PORT PICTURE QUESTION\n";
    return 2;
  }
  std::ifstream file(argv[2], std::ios::binary);
  const std::string image{std::istreambuf_iterator<char>(file), {}};
  try {
    const auto client = with_retries(make_grpc_client(argv[1]));
    const Question question{.image = image, .question = argv[3], .timeout_ms = 10000};
    const Answer answer = client->ask(question);
    std::cout << answer.answer << " (version " << answer.model_version << ", " << answer.total_ms << " ms)\n";
    client->ask_stream(question,
                       [](std::string_view text) { return static_cast<bool>(std::cout << text << std::flush); });
    std::cout << "\n";
    return 0;
  } catch (const ClientError& error) {
    std::cerr << error.code() << ": " << error.what() << "\n";
    return 1;
  }
}
