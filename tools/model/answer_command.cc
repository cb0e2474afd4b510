#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/torch_engine.h"
#include "tools/model/commands.h"
#include "tools/model/offline_runner.h"

namespace sf {

int answer_command(const OfflineCommandOptions& options) {
  TorchEngineOptions engine_options;
  engine_options.device = options.device;
  engine_options.threads = options.threads;
  auto engine = make_torch_engine(open_checkpoint(options.model), engine_options);
  const bool text_alone = options.image == "none";
  OfflineRequest request{text_alone ? "" : read_file(options.image, engine_options.image_limits.max_bytes),
                         options.question, engine->info().default_sampling};
  request.sampling.max_tokens = options.max_tokens;
  const OfflineAnswer answer = run_offline(*engine, {request}, {.batch = 1}).front();
  if (!answer.error.empty()) throw Error(Code::kInvalidArgument, answer.error);
  if (options.json) {
    std::cout << nlohmann::ordered_json{{"answer", answer.text},
                                        {"prompt_tokens", answer.prompt_tokens},
                                        {"completion_tokens", answer.completion_tokens},
                                        {"seconds", answer.seconds}}
                     .dump()
              << "\n";
  } else {
    std::cout << answer.text << "\n";
  }
  return 0;
}

}  // namespace sf
