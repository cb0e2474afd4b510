// The subcommands of sparsefusion-model. Each prints to stdout and returns the program's exit status; errors are
// thrown. One thread only: a command is the whole run of the program.
#pragma once

#include <cstdint>
#include <string>

#include "engine/import/vision.h"

namespace sf {

struct OfflineCommandOptions {
  std::string model;  // checkpoint directory
  std::string device = "auto";
  int threads = 0;          // 0 = the processors this process may use
  std::string destination;  // bundle, convert
  // convert
  std::string from = "hf";  // "hf": a Hugging Face directory; "seed": a .pth of the original SparseFusion;
                            // "timm", "clip": a .safetensors of a vision encoder, for sparsefusion-train --vit-init
  std::string source;
  VisionImportOptions vision;   // timm, clip
  std::string prompt_template;  // empty: what fits the architecture
  std::string dtype = "f32";    // of the weights written: f32 or bf16
  std::string characters;       // seed: file with the vocabulary's characters
  // answer
  std::string image, question;
  int max_tokens = 256;
  // explain: one image with its question, or explain_data
  std::string method = "relevancy";
  int layer = -1, head = -1;  // attention
  std::string out;            // folder for the images; empty = none
  std::string explain_data;   // "sort-of-clevr": the pointing game and the experts' specialisation
  // eval
  std::string data = "sort-of-clevr";  // or a .jsonl file
  int images = 500;
  uint64_t seed = 7;
  // bench
  std::string pairs;  // .jsonl of images and questions; empty = generated
  int requests = 200;
  std::string batches = "1,8,32";
  int rounds = 3;
  int shared_questions = 0;  // above 0: so many questions about one image, against as many images
  bool json = false;
};

// Effect: copies the checkpoint into `destination` (new) without its training state: what is bundled or shipped.
int bundle_command(const OfflineCommandOptions& options);
// Effect: writes a foreign model as a checkpoint directory (new), in bounded memory, and prints the peak of it.
int convert_command(const OfflineCommandOptions& options);
int inspect_command(const OfflineCommandOptions& options);
int answer_command(const OfflineCommandOptions& options);
int eval_command(const OfflineCommandOptions& options);
int explain_command(const OfflineCommandOptions& options);
// Its half with explain_data.
int explain_study(const OfflineCommandOptions& options);
int bench_command(const OfflineCommandOptions& options);

}  // namespace sf
