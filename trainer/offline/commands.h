// The subcommands of sparsefusion-model. Each prints to stdout and returns the program's exit status; errors are thrown.
#pragma once

#include <cstdint>
#include <string>

namespace sf {

struct OfflineCommandOptions {
  std::string model;                    // checkpoint directory
  std::string device = "auto";
  int threads = 0;                      // 0 = all cores
  std::string destination;              // bundle
  // answer
  std::string image, question;
  int max_tokens = 256;
  // eval
  std::string data = "sort-of-clevr";   // or a .jsonl file
  int images = 500;
  uint64_t seed = 7;
  // bench
  std::string pairs;                    // .jsonl of pictures and questions; empty = generated
  int requests = 200;
  std::string batches = "1,8,32";
  int rounds = 3;
  int shared_questions = 0;             // above 0: so many questions about one picture, against as many pictures
  bool json = false;
};

// Effect: copies the checkpoint into `destination` (new) without its training state: what is bundled or shipped.
int bundle_command(const OfflineCommandOptions& options);
int inspect_command(const OfflineCommandOptions& options);
int answer_command(const OfflineCommandOptions& options);
int eval_command(const OfflineCommandOptions& options);
int bench_command(const OfflineCommandOptions& options);

}  // namespace sf
