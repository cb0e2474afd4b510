// The loader over a catalog and a slot, without the reloader's thread.
#include "server/versions/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "engine/base/machine_fault.h"
#include "tests/server/versions/fake_source.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(JudgeFailureTest, TheVersionTheMachineOrNeitherIsAtFault) {
  const Error torn(Code::kDataLoss, "torn"), gone(Code::kNotFound, "gone"), full(Code::kResourceExhausted, "full");
  EXPECT_EQ(judge_failure(torn, "verify"), LoadOutcome::kRejected);
  EXPECT_EQ(judge_failure(std::runtime_error("shapes"), "load"), LoadOutcome::kRejected);
  EXPECT_EQ(judge_failure(gone, "verify"), LoadOutcome::kGone);
  EXPECT_EQ(judge_failure(gone, "load"), LoadOutcome::kRejected) << "a file that the manifest should have named";
  EXPECT_EQ(judge_failure(full, "load"), LoadOutcome::kShortOfMemory);
  EXPECT_EQ(judge_failure(full, "verify"), LoadOutcome::kRejected) << "a size limit of the format";
  EXPECT_EQ(judge_failure(std::bad_alloc(), "verify"), LoadOutcome::kShortOfMemory);
  EXPECT_EQ(judge_failure(MachineFault(Code::kUnavailable, "EIO"), "verify"), LoadOutcome::kMachineFault);
  EXPECT_EQ(judge_failure(std::system_error(EAGAIN, std::generic_category()), "load"), LoadOutcome::kMachineFault);
}

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() { deps_ = test::quiet_deps(clock_, metrics_, drain_rate_); }
  Loader loader(LoaderOptions options = {}) {
    catalog_.refresh();
    return Loader(options, catalog_, source_, slot_, deps_);
  }
  void break_load(int64_t version) {
    source_.add(version).load = []() -> std::unique_ptr<Engine> { throw std::runtime_error("shapes differ"); };
  }
  std::vector<std::string> reasons() const {
    std::vector<std::string> reasons;
    for (const ReloadEvent& event : events_) reasons.push_back(concat(event.version, " ", event.reason));
    return reasons;
  }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps deps_;
  FakeSource source_;
  ModelSlot slot_;
  std::vector<ReloadEvent> events_;
  Catalog catalog_{{}, source_, metrics_, [this](const ReloadEvent& event) { events_.push_back(event); }};
};

TEST_F(LoaderTest, PublishesAndSaysSo) {
  source_.add(1);
  source_.entries[1].on_open = [this] { clock_.advance(2); };
  const LoadResult result = loader().load(1);
  EXPECT_EQ(result.outcome, LoadOutcome::kPublished);
  EXPECT_EQ(result.event.result, "success");
  EXPECT_EQ(result.event.seconds, 2);
  EXPECT_EQ(slot_.current_version(), 1);
  EXPECT_THAT(reasons(), ElementsAre("1 none"));
}

TEST_F(LoaderTest, TheFirstThatIsGoodEndsTheSearch) {
  source_.add(1);
  source_.add(2);
  break_load(3);
  EXPECT_EQ(loader().load_first_of({3, 2, 1}).event.version, 2);
  EXPECT_EQ(source_.entries[1].num_opened, 0);
  EXPECT_EQ(catalog_.quarantined().at(0).message, "shapes differ");
  EXPECT_THAT(reasons(), ElementsAre("3 load", "2 none"));
  EXPECT_EQ(loader().load_first_of({3}).outcome, LoadOutcome::kRejected) << "quarantined, so not tried";
  EXPECT_EQ(source_.entries[3].num_opened, 1);
}

TEST_F(LoaderTest, ShortMemoryEndsTheSearch) {
  source_.add(1);
  source_.add(2).load = []() -> std::unique_ptr<Engine> { throw std::bad_alloc(); };
  EXPECT_EQ(loader().load_first_of({2, 1}).outcome, LoadOutcome::kShortOfMemory);
  EXPECT_EQ(source_.entries[1].num_opened, 0);
  EXPECT_TRUE(catalog_.is_on_hold(clock_.now_s()));
}

TEST_F(LoaderTest, TheScoreCountsUnlessAnOperatorChose) {
  source_.add(1, 0.9);
  source_.add(2, 0.8);
  Loader tried = loader();
  tried.load(1);
  EXPECT_EQ(tried.load_first_of({2}).outcome, LoadOutcome::kRejected);
  EXPECT_THAT(events_.back().message, HasSubstr("score 0.8 is more than 0.02 below the served one's 0.9"));
  EXPECT_EQ(slot_.current_version(), 1);
  EXPECT_EQ(tried.load(2).outcome, LoadOutcome::kPublished);
}

TEST_F(LoaderTest, FilesReplacedWhileTheyAreReadAreTriedAgain) {
  source_.add(1).on_open = [this] {
    source_.entries[1].fingerprint = "2";
    throw Error(Code::kDataLoss, "torn");
  };
  Loader tried = loader();
  tried.load_first_of({1});
  tried.load_first_of({1});
  tried.load_first_of({1});
  EXPECT_EQ(source_.entries[1].num_opened, 2) << "the third time the files are those that failed";
}

TEST_F(LoaderTest, ReplaceBringsBackWhatItFreedAndReportsTheFailure) {
  source_.add(1);
  break_load(2);
  Loader replacing = loader({.mode = ReloadMode::kReplace});
  replacing.load(1);
  const LoadResult result = replacing.load(2);
  EXPECT_EQ(result.outcome, LoadOutcome::kRejected);
  EXPECT_EQ(result.event.message, "shapes differ");
  EXPECT_EQ(slot_.current_version(), 1);
  EXPECT_THAT(reasons(), ElementsAre("1 none", "2 load", "1 none"));
}

TEST_F(LoaderTest, WhatWasFreedAndFailsToComeBackIsTriedOnceMore) {
  source_.add(1).fingerprint = "of 1";
  break_load(2);
  source_.entries[2].fingerprint = "of 2";
  Loader replacing = loader({.mode = ReloadMode::kReplace});
  replacing.load(1);
  source_.entries[1].on_open = [] { throw Error(Code::kDataLoss, "torn"); };
  replacing.load(2);
  EXPECT_EQ(slot_.current_version(), 0);
  source_.entries[1].on_open = [] {};
  EXPECT_EQ(replacing.load_first_of({2, 1}).outcome, LoadOutcome::kPublished);
  EXPECT_EQ(slot_.current_version(), 1);
}

TEST_F(LoaderTest, WhatIsFreedIsHeldInTheStoreUntilTheNewOneServes) {
  source_.add(1);
  source_.add(2);
  Loader replacing = loader({.mode = ReloadMode::kReplace});
  replacing.load(1);
  bool held = false;
  source_.entries[2].load = [&, load = source_.entries[2].load] {
    held = source_.is_held(1);
    return load();
  };
  replacing.load(2);
  EXPECT_TRUE(held) << "or the trainer might prune the way back";
  EXPECT_FALSE(source_.is_held(1));
}

}  // namespace
}  // namespace sf::server
