// What one request may cost before anything of it is believed. Plain values: frontends and server/main.cc share them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sf::server {

struct RequestLimits {
  size_t max_body_bytes = 20 << 20;   // of one HTTP body or one gRPC message
  size_t max_image_bytes = 10 << 20;  // of one encoded image
  int max_json_depth = 32;            // nested objects and arrays
  size_t max_json_values = 65'536;    // of one body: objects, arrays, strings, numbers, true, false and null
  int64_t request_timeout_s = 60;     // timeout_ms is never longer
  int max_batch = 32;                 // these two size the pools: every admitted request keeps one thread waiting
  int max_queue_requests = 64;

  // Threads a frontend needs so that health and refusals still find one when every admitted request is waiting.
  int num_frontend_threads() const { return max_batch + max_queue_requests + 32; }
};

}  // namespace sf::server
