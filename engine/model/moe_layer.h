// The mixture-of-experts feed-forward: route, dispatch, run, combine. What it saw is handed to an observer, so the
// layer itself keeps no state between calls.
//
//   MoeLayer moe_layer(config.decoder);
//   at::Tensor y_TD = moe_layer.forward(layer, x_TD, {.observer = &observer, .ops = &ops});
//
// A MoeLayer: thread-safe as long as the weights do not change; const methods only read them. Policy, hook and
// observer of a pass: one thread only.
#pragma once

#include <torch/torch.h>

#include "engine/kernels/ops.h"
#include "engine/model/capacity.h"
#include "engine/model/experts.h"
#include "engine/model/router.h"
#include "engine/model/token_dispatcher.h"

namespace sf {

// Changes what the router chose before the tokens are dispatched: a replay puts the experts that it forces, and their
// gates, into `routing`. Called from inside a forward pass. One thread only.
class RoutingHook {
 public:
  virtual ~RoutingHook() = default;
  virtual void on_routing(int layer, Routing& routing) = 0;
};

// Only looks. Called from inside a forward pass. One thread only.
class MoeObserver {
 public:
  virtual ~MoeObserver() = default;
  enum class Stage { kRoute, kExperts, kCombine };
  // `routing` and `d` cover the tokens given to the layer.
  virtual void on_routed(int layer, const Routing& routing, const Dispatch& d) = 0;
  virtual void on_stage_begin(int, Stage) {}
  virtual void on_stage_end(int, Stage) {}
};

// What a pass gives its layers beside the tokens. Everything outlives the call.
struct MoeContext {
  CapacityPolicy* capacity = nullptr;  // null = dropless
  RoutingHook* hook = nullptr;
  MoeObserver* observer = nullptr;
  const Ops* ops = &reference_ops(at::kCPU);
};

class MoeLayer : public torch::nn::Module {
 public:
  explicit MoeLayer(const DecoderConfig& config);
  // x_TD -> [T, D].
  at::Tensor forward(int layer, const at::Tensor& x_TD, const MoeContext& context = {}) const;
  const Router& router() const { return *router_; }
  const Experts& experts() const { return *experts_; }  // those that are routed to, without the shared one

 private:
  double output_dropout_;  // in training
  std::shared_ptr<const TokenDispatcher> dispatcher_;
  std::shared_ptr<Router> router_;
  std::shared_ptr<Experts> experts_;
  std::shared_ptr<Experts> shared_;  // null without one
};

}  // namespace sf
