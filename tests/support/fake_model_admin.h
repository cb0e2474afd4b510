// A ModelAdmin without a model: three versions that never change, and a record of its commands.
#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/mutex.h"
#include "server/service/model_admin.h"

namespace sf::server {

// Thread-safe; `error` is set before commands come in.
class FakeModelAdmin final : public ModelAdmin {
 public:
  std::optional<Error> error;  // thrown by every command
  bool served = true;
  std::optional<std::vector<VersionStatus>> listed;  // in place of the three
  bool unloaded = false;

  std::vector<std::string> commands() const {
    MutexLock lock(mutex_);
    return commands_;
  }

  std::vector<VersionStatus> versions() const override {
    if (listed) return *listed;
    return {{.version = 1,
             .state = VersionState::kAvailable,
             .reason = {},
             .message = {},
             .facts = {"aaa", 100, 1'700'000'000, 0.5}},
            {.version = 3,
             .state = VersionState::kServed,
             .reason = {},
             .message = {},
             .facts = {"abc", 300, 1'700'000'300, 0.75},
             .pinned = true},
            {.version = 4,
             .state = VersionState::kQuarantined,
             .reason = "canary",
             .message = "canary: 1 of 36 answers differ from the trainer's",
             .facts = {}}};
  }
  std::optional<ExpertLoads> expert_loads() const override {
    if (!served) return std::nullopt;
    ExpertLoads loads{.version = 3, .layers = std::vector<LayerLoad>(2)};
    for (LayerLoad& layer : loads.layers) layer.experts.resize(4);
    loads.layers[1].experts[2] = {ExpertLoad{40, 20.5, 3}, ExpertLoad{10, 5.25, 0}};
    loads.layers[1].window = ExpertWindow::Gauges{1.25, 2.5, 1, 0.125};
    return loads;
  }
  int64_t load(int64_t version) override { return told("load " + std::to_string(version), version); }
  int64_t pin(int64_t version) override { return told("pin " + std::to_string(version), version ? version : 3); }
  int64_t unpin() override { return told("unpin", 3); }
  int64_t rollback() override { return told("rollback", 1); }
  int64_t load_newest() override { return told("load newest", 3); }
  void unload() override { told("unload", 0); }
  bool is_unloaded() const override { return unloaded; }

 private:
  int64_t told(const std::string& command, int64_t version) {
    if (error) throw *error;
    MutexLock lock(mutex_);
    commands_.push_back(command);
    return version;
  }

  mutable Mutex mutex_;
  std::vector<std::string> commands_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
