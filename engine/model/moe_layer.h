// The mixture-of-experts feed-forward: route, dispatch, run, combine. What it saw is handed to an observer, so the
// layer itself keeps no state between calls.
#pragma once

#include <torch/torch.h>

#include "engine/model/capacity.h"
#include "engine/model/experts.h"
#include "engine/model/router.h"

namespace sf {

// Called from inside a forward pass. One thread only.
class MoeObserver {
 public:
  virtual ~MoeObserver() = default;
  enum class Stage { kRoute, kExperts, kCombine };
  // Before the tokens are dispatched: a replay puts the experts that it forces, and their gates, into `routing`.
  virtual void on_chosen(int, Routing&) {}
  // `routing` and `d` cover the tokens given to the layer.
  virtual void on_routed(int layer, const Routing& routing, const Dispatch& d) = 0;
  virtual void on_stage_begin(int, Stage) {}
  virtual void on_stage_end(int, Stage) {}
};

class MoeLayer : public torch::nn::Module {
 public:
  explicit MoeLayer(const DecoderConfig& config);
  // x_TD -> [T, D]. `capacity` null = dropless. `observer` may be null.
  at::Tensor forward(int layer, const at::Tensor& x_TD, CapacityPolicy* capacity, MoeObserver* observer) const;
  const Router& router() const { return *router_; }
  const Experts& experts() const { return *experts_; }  // those that are routed to, without the shared one

 private:
  int64_t num_experts_;
  double output_dropout_;  // in training
  std::shared_ptr<Router> router_;
  std::shared_ptr<Experts> experts_;
  std::shared_ptr<Experts> shared_;  // null without one
};

}  // namespace sf
