#include "engine/kernels/reference/reference.h"

namespace sf {
namespace {

constexpr Ops kGrouped{.name = "reference",
                       .plan_attention = reference::plan_attention,
                       .moe_ffn = reference::grouped_moe_ffn,
                       .dense_ffn = reference::dense_ffn,
                       .topk_gates = reference::topk_gates};
constexpr Ops kMasked{.name = "reference",
                      .plan_attention = reference::plan_attention,
                      .moe_ffn = reference::masked_moe_ffn,
                      .dense_ffn = reference::dense_ffn,
                      .topk_gates = reference::topk_gates};

}  // namespace

const Ops& reference_ops(at::Device device) { return device.is_cpu() ? kGrouped : kMasked; }

}  // namespace sf
