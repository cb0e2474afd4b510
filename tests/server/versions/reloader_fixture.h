// A reloader over a store in memory, with a place for its pin.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "server/versions/reloader.h"
#include "tests/server/versions/fake_source.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {

class ReloaderFixture : public ::testing::Test {
 protected:
  ReloaderFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sf_pin_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    deps_ = test::quiet_deps(clock_, metrics_, drain_rate_);
    restart();
  }
  ~ReloaderFixture() override {
    reloader_.reset();
    std::filesystem::remove_all(root_);
  }

  void restart(ReloadMode mode = ReloadMode::kOverlap) {
    reloader_.reset();
    slot_ = std::make_unique<ModelSlot>();
    ReloaderOptions options;
    options.pin_path = root_ / ".pinned";
    options.mode = mode;
    reloader_ = std::make_unique<Reloader>(options, source_, *slot_, deps_,
                                           [this](const ReloadEvent& event) { events_.push_back(event); });
  }
  int64_t served() const { return slot_->current() ? slot_->current()->version : 0; }
  Error refusal(const std::function<void()>& command) {
    try {
      command();
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kOk, "not refused");
  }
  std::string state_of(int64_t version) {
    for (const VersionStatus& row : reloader_->list()) {
      if (row.version != version) continue;
      return concat(state_name(row.state), row.pinned ? " pinned" : "", row.reason.empty() ? "" : " ", row.reason);
    }
    return "absent";
  }

  std::filesystem::path root_;
  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps deps_;
  FakeSource source_;
  std::unique_ptr<ModelSlot> slot_;
  std::vector<ReloadEvent> events_;
  std::unique_ptr<Reloader> reloader_;
};

}  // namespace sf::server
