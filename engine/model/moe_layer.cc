#include "engine/model/moe_layer.h"

namespace sf {
namespace {

// Tells the observer when a stage begins and ends.
class StageScope {
 public:
  StageScope(MoeObserver* observer, int layer, MoeObserver::Stage stage) : observer_(observer), layer_(layer), stage_(stage) {
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

MoeLayer::MoeLayer(const DecoderConfig& config) : num_experts_(config.moe.num_experts) {
  router_ = register_module("router", std::make_shared<Router>(config));
  experts_ = register_module("experts", std::make_shared<Experts>(config));
}

at::Tensor MoeLayer::forward(int layer, const at::Tensor& x_TD, int64_t capacity, MoeObserver* observer) const {
  Dispatch d;
  at::Tensor rows_RD;
  {
    StageScope scope(observer, layer, MoeObserver::Stage::kRoute);
    Routing routing = router_->forward(x_TD);
    if (observer) observer->on_chosen(layer, routing);
    d = dispatch(routing, num_experts_, capacity);
    if (observer) observer->on_routed(layer, routing, d);
    rows_RD = gather_rows(d, x_TD);
  }
  {
    StageScope scope(observer, layer, MoeObserver::Stage::kExperts);
    rows_RD = experts_->forward(rows_RD, d);
  }
  StageScope scope(observer, layer, MoeObserver::Stage::kCombine);
  return combine(d, rows_RD);
}

}  // namespace sf
