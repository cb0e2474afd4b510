// The whole service over fake engines and a clock that stands still.
//
//   using AnswerServiceTest = AnswerServiceFixture;
//   start({.max_batch = 1});  FakeEngine& engine = publish(1);  service_->submit(request);
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/service/answer_service.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {

class AnswerServiceFixture : public ::testing::Test {
 protected:
  void start(SchedulerOptions scheduler = {}, ServiceOptions options = {}) {
    serving_ = test::quiet_deps(clock_, metrics_, drain_rate_);
    serving_.scheduler = scheduler;
    service_ = std::make_unique<AnswerService>(
        options, ServiceDeps{&slot_, &metrics_, &drain_rate_, &clock_, [this](const std::string& line) {
                               MutexLock lock(lines_mutex_);
                               lines_.push_back(line);
                             }});
  }
  FakeEngine& publish(int64_t version) {
    auto engine = std::make_unique<FakeEngine>(FakeEngineOptions{.digest = "digest" + std::to_string(version)});
    FakeEngine& fake = *engine;
    slot_.publish(make_serving_version(version, std::move(engine), std::nullopt, nullptr, serving_));
    return fake;
  }
  Error refusal(AnswerRequest request) {
    try {
      service_->submit(std::move(request));
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kOk, "not refused");
  }
  std::string lines() {
    MutexLock lock(lines_mutex_);
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps serving_;
  Mutex lines_mutex_;
  std::vector<std::string> lines_;
  ModelSlot slot_{
      [this](const ServingVersion& version) { metrics_.retire_version(version.metrics.get(), clock_.now_s()); }};
  std::unique_ptr<AnswerService> service_;
};

}  // namespace sf::server
