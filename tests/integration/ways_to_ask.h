// One question, asked of a running server in every way that there is, and what came back in one form.
//
//   for (const Way& way : ways_to_ask(server.http_port(), server.grpc_target()))
//     EXPECT_EQ(way.ask(question), expected) << way.name;
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "client/client.h"

namespace sf::test {

// An answer, or how it failed.
struct Outcome {
  std::string code = "OK";  // gRPC's name, over HTTP that of the status
  std::string text = {}, finish_reason = {};
  int64_t version = 0;
  int image_tokens = -1;  // -1: OpenAI's schema has no place for it
  int prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
};
// An answer without image tokens has those of the other.
bool operator==(const Outcome& a, const Outcome& b);
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

struct Way {
  std::string name;
  // Blocks. The model's name, where `question` has none, is the server's.
  std::function<Outcome(const client::Question& question)> ask;
};

std::vector<Way> ways_over_rest(int http_port);
std::vector<Way> ways_over_grpc(const std::string& grpc_target);
std::vector<Way> ways_to_ask(int http_port, const std::string& grpc_target);

}  // namespace sf::test
