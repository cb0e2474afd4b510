#include "engine/model/moe_layer.h"

namespace sf {
namespace {

// Tells the observer when a stage begins and ends.
class StageScope {
 public:
  StageScope(MoeObserver* observer, int layer, MoeObserver::Stage stage)
      : observer_(observer), layer_(layer), stage_(stage) {
    if (observer_) observer_->on_stage_begin(layer_, stage_);
  }
  ~StageScope() {
    if (observer_) observer_->on_stage_end(layer_, stage_);
  }

 private:
  MoeObserver* observer_;
  int layer_;
  MoeObserver::Stage stage_;
};

}  // namespace

MoeLayer::MoeLayer(const DecoderConfig& config)
    : num_experts_(config.moe.num_experts),
      output_dropout_(config.moe.dropout == ExpertDropout::kOutput ? config.moe.dropout_rate : 0) {
  router_ = register_module("router", std::make_shared<Router>(config));
  experts_ = register_module("experts", std::make_shared<Experts>(config, num_experts_, config.moe.hidden));
  if (config.moe.shared_hidden > 0) {
    shared_ = register_module("shared", std::make_shared<Experts>(config, 1, config.moe.shared_hidden));
  }
}

at::Tensor MoeLayer::forward(int layer, const at::Tensor& x_TD, CapacityPolicy* capacity, MoeObserver* observer) const {
  Dispatch d;
  at::Tensor rows_RD, shared_TD;
  {
    StageScope scope(observer, layer, MoeObserver::Stage::kRoute);
    Routing routing = router_->forward(x_TD);
    if (observer) observer->on_chosen(layer, routing);
    d = dispatch(routing, num_experts_, capacity ? capacity->kept(layer, routing) : at::Tensor());
    // An expert's whole output to a token is masked, so masking its gate does it.
    if (is_training() && output_dropout_ > 0) d.gates_TK = at::dropout(d.gates_TK, output_dropout_, true);
    if (observer) observer->on_routed(layer, routing, d);
    rows_RD = gather_rows(d, x_TD);
  }
  {
    StageScope scope(observer, layer, MoeObserver::Stage::kExperts);
    rows_RD = experts_->forward(rows_RD, d);
    if (shared_) shared_TD = shared_->forward_first(x_TD);
  }
  StageScope scope(observer, layer, MoeObserver::Stage::kCombine);
  at::Tensor y_TD = combine(d, rows_RD);
  return shared_ ? y_TD + shared_TD : y_TD;
}

}  // namespace sf
