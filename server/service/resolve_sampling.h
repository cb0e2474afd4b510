// How an answer's tokens are drawn, between what the request says and what the checkpoint does.
#pragma once

#include "engine/engine.h"

namespace sf::server {

// What a request is sampled with: its own temperature, else the checkpoint's way of sampling, where a top_p or top_k of
// the request's own still counts. Pure.
inline SamplingParams resolve_sampling(SamplingParams asked, const SamplingParams& defaults) {
  if (asked.temperature >= 0) return asked;
  asked.temperature = defaults.temperature;
  if (asked.top_p >= 1) asked.top_p = defaults.top_p;
  if (asked.top_k == 0) asked.top_k = defaults.top_k;
  return asked;
}

}  // namespace sf::server
