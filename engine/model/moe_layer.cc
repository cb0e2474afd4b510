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
    : output_dropout_(config.moe.dropout == ExpertDropout::kOutput ? config.moe.dropout_rate : 0),
      dispatcher_(std::make_shared<LocalDispatcher>(config.moe.num_experts)) {
  router_ = register_module("router", std::make_shared<Router>(config));
  experts_ = register_module("experts", std::make_shared<Experts>(config, config.moe.num_experts, config.moe.hidden));
  if (config.moe.shared_hidden > 0) {
    shared_ = register_module("shared", std::make_shared<Experts>(config, 1, config.moe.shared_hidden));
  }
}

at::Tensor MoeLayer::forward(int layer, const at::Tensor& x_TD, const MoeContext& context) const {
  MoeObserver* const observer = context.observer;
  DispatchedRows dispatched;
  at::Tensor y_RD, shared_TD;
  {
    StageScope scope(observer, layer, MoeObserver::Stage::kRoute);
    Routing routing = router_->forward(x_TD, *context.ops);
    if (context.hook) context.hook->on_routing(layer, routing);
    dispatched =
        dispatcher_->dispatch(x_TD, routing, context.capacity ? context.capacity->kept(layer, routing) : at::Tensor());
    Dispatch& d = dispatched.metadata;
    // An expert's whole output to a token is masked, so masking its gate does it.
    if (is_training() && output_dropout_ > 0) d.gates_TK = at::dropout(d.gates_TK, output_dropout_, true);
    if (observer) observer->on_routed(layer, routing, d);
  }
  {
    StageScope scope(observer, layer, MoeObserver::Stage::kExperts);
    y_RD = experts_->forward(dispatched.rows_RD, dispatched.ends_E, *context.ops);
    if (shared_) shared_TD = shared_->forward_first(x_TD, *context.ops);
  }
  StageScope scope(observer, layer, MoeObserver::Stage::kCombine);
  at::Tensor y_TD = dispatcher_->combine(dispatched.metadata, y_RD);
  return shared_ ? y_TD + shared_TD : y_TD;
}

}  // namespace sf
