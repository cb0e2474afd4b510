// A closed loop: each of `concurrency` clients asks its next question when its last one is answered.
//
//   std::vector<Question> pairs = read_questions("pairs.jsonl");
//   LoadResult result = run_load(pairs, {.concurrency = 32}, [&] { return connect(connection); });
//
// Thread-safe: free functions. run_load makes its clients on the caller's thread; their threads end before it returns.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/client.h"

namespace sf::client {

struct LoadOptions {
  int concurrency = 1;
  int num_requests = 200;
  int num_warm_up = 0;  // asked before the clock starts, not counted
  bool stream = false;  // every answer as a stream; then time to first text is measured as well
  // How many of num_requests are answered or have failed; called on the clients' threads, several at once.
  std::function<void(int answered)> on_answered = {};
};

struct LoadResult {
  int num_ok = 0;
  std::map<std::string, int> errors;  // by code
  double seconds = 0;
  uint64_t completion_tokens = 0;
  std::vector<double> latencies_ms;   // of the good ones, sorted
  std::vector<double> first_text_ms;  // of streams, sorted
};

// Effect: asks `questions` in turn, from the beginning again when they run out. Blocks until all are answered.
// REQUIRES: questions is not empty.
LoadResult run_load(const std::vector<Question>& questions, const LoadOptions& options,
                    const std::function<std::unique_ptr<Client>()>& make_client);

// One JSON object a line: {"image": path or base64, "question": text, "max_tokens": optional}; paths are relative to
// the file. Errors: ClientError naming file and line.
std::vector<Question> read_questions(const std::string& path);

// The value below which a share `q` of the sorted values lies (nearest rank); 0 for none.
double percentile(const std::vector<double>& sorted, double q);

std::string to_json(const LoadResult& result, const LoadOptions& options);

}  // namespace sf::client
