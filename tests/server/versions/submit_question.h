// A question on its way to a version whose engine is a fake one.
#pragma once

#include <memory>
#include <string>

#include "server/versions/serving_version.h"
#include "tests/support/fake_engine.h"

namespace sf::server {

inline std::shared_ptr<EventQueue> submit_question(const ServingVersionPtr& version, const std::string& question) {
  JobRequest request;
  request.prompt = version->engine->prepare(ask(question));
  request.deadline_s = 1e9;
  auto stream = std::make_shared<EventQueue>(version->version);
  version->scheduler().submit(
      std::make_unique<Job>(std::move(request), *version->engine, stream, *version->scheduler().reserve(1), version));
  return stream;
}

}  // namespace sf::server
