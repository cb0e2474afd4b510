// The engine on LibTorch: the model of engine/model over a paged cache, on a CPU or a GPU.
//
//   auto engine = make_torch_engine(open_checkpoint(dir), {.device = "auto", .threads = 2});
//
// Thread-safe: a free function. The engine's own rule is in engine.h.
#pragma once

#include <memory>
#include <string>

#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/engine.h"
#include "engine/image/image.h"

namespace sf {

struct TorchEngineOptions {
  std::string device = "auto";  // "auto", "cpu", "cuda" or "cuda:N"
  int threads = 0;              // intra-op threads of step(); 0 = threads_or_default()
  int max_context = 0;          // 0 = the checkpoint's
  int64_t kv_cache_mib = 64;
  // "account": nothing is dropped, overflow is counted. "strict": dropped causally per request (strict_capacity.h), for
  // models trained with a causal drop order.
  std::string capacity_mode = "account";
  bool prefix_cache = true;    // keep computed prefixes in free pages of the KV cache
  double capacity_factor = 0;  // of overflow accounting; 0 = the checkpoint's
  ImageLimits image_limits = {};
  // False: nothing is known of the experts, and StepResult::moe is empty; neither with a prefix cache nor with strict
  // capacity. For measuring what counting costs (bench/metrics.sh).
  bool count_experts = true;
};

// Errors: InvalidArgument or DataLoss naming the file, tensor or option at fault; FailedPrecondition for a cache larger
// than all memory, ResourceExhausted where memory is short now. Blocks while it copies the weights.
std::unique_ptr<Engine> make_torch_engine(const VerifiedCheckpoint& checkpoint, const TorchEngineOptions& options);

}  // namespace sf
