// Where the spans of finished requests go. Thread-safe.
#pragma once

#include "server/service/request_log.h"

namespace sf::server {

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // The trace of a request that came without one, sampled or not.
  virtual TraceContext begin() = 0;
  // Effect: takes the request if its trace is sampled. Never blocks: what does not fit is dropped and counted.
  virtual void add(const RequestRecord& record) = 0;
};

}  // namespace sf::server
