// Brings every token to the experts that it was routed to, and their outputs back.
//
//   DispatchedRows rows = dispatcher.dispatch(x_TD, routing, kept_TK);
//   at::Tensor y_TD = dispatcher.combine(rows.metadata, experts.forward(rows.rows_RD, rows.ends_E, ops));
//
// With expert parallelism each rank holds some of the experts: an all-to-all dispatcher sends a token's row to the rank
// of its expert in dispatch() and the outputs back in combine(), and dispatch.h's maths orders what arrives. A MoeLayer
// keeps one dispatcher, and the rows it is given need not be those of its own tokens.
//
// Thread-safe.
#pragma once

#include "engine/model/dispatch.h"

namespace sf {

struct DispatchedRows {
  Dispatch metadata;   // of this rank's tokens; combine() needs it
  at::Tensor rows_RD;  // of this rank's experts, sorted by expert
  at::Tensor ends_E;   // int64: row after the last of each of them; stays on the device
};

class TokenDispatcher {
 public:
  virtual ~TokenDispatcher() = default;
  // `kept_TK` bool; undefined = all.
  virtual DispatchedRows dispatch(const at::Tensor& x_TD, const Routing& routing, const at::Tensor& kept_TK) const = 0;
  // y_RD beside rows_RD -> [T, D]: the gate-weighted sum of a token's rows in slot order.
  virtual at::Tensor combine(const Dispatch& metadata, const at::Tensor& y_RD) const = 0;
};

// Every expert is here.
class LocalDispatcher : public TokenDispatcher {
 public:
  explicit LocalDispatcher(int64_t num_experts) : num_experts_(num_experts) {}
  DispatchedRows dispatch(const at::Tensor& x_TD, const Routing& routing, const at::Tensor& kept_TK) const override {
    Dispatch d = sf::dispatch(routing, num_experts_, kept_TK);
    at::Tensor rows_RD = gather_rows(d, x_TD);
    at::Tensor ends_E = d.ends_E;
    return {std::move(d), std::move(rows_RD), std::move(ends_E)};
  }
  at::Tensor combine(const Dispatch& metadata, const at::Tensor& y_RD) const override {
    return sf::combine(metadata, y_RD);
  }

 private:
  int64_t num_experts_;
};

}  // namespace sf
