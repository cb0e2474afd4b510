// The catalog by itself: no engine, no slot, no thread.
#include "server/versions/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/versions/fake_source.h"

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() {
    for (const int64_t version : {1, 2, 3}) source_.add(version);
    catalog_.refresh();
  }
  std::string row_of(int64_t version, const LoadedVersions& loaded = {}) const {
    for (const VersionStatus& row : catalog_.list(loaded)) {
      if (row.version == version) return concat(state_name(row.state), " ", row.reason, " ", row.message);
    }
    return "absent";
  }
  static ReloadEvent failure(int64_t version, const std::string& reason) {
    return {version, "failure", reason, "why", 0};
  }

  Metrics metrics_{{}};
  FakeSource source_;
  std::vector<ReloadEvent> events_;
  Catalog catalog_{{}, source_, metrics_, [this](const ReloadEvent& event) { events_.push_back(event); }};
};

TEST_F(CatalogTest, WhatIsTriedFollowsFromWhatIsServedPinnedAndPassedOver) {
  EXPECT_THAT(catalog_.to_try(0), ElementsAre(3, 2, 1));
  EXPECT_THAT(catalog_.to_try(2), ElementsAre(3));
  EXPECT_EQ(catalog_.pass_over(3), 0);
  EXPECT_THAT(catalog_.to_try(2), IsEmpty());
  EXPECT_EQ(catalog_.pass_over(0), 3);
  catalog_.set_pinned(1);
  EXPECT_THAT(catalog_.to_try(2), ElementsAre(1));
  EXPECT_EQ(catalog_.highest(), 3);
}

TEST_F(CatalogTest, AVersionThatWaitsForItsManifestIsListedLoggedOnceAndNotTried) {
  source_.add(4).is_waiting = true;
  catalog_.refresh();
  catalog_.refresh();
  EXPECT_EQ(row_of(4), "available  waiting for manifest.json");
  EXPECT_THAT(catalog_.to_try(3), IsEmpty());
  ASSERT_THAT(events_, SizeIs(1));
  EXPECT_EQ(events_[0].result, "waiting");
  EXPECT_EQ(catalog_.why_not({})->code(), Code::kFailedPrecondition);
  EXPECT_THROW(catalog_.choose(4), Error);
  source_.entries[4].is_waiting = false;
  catalog_.refresh();
  EXPECT_THAT(catalog_.to_try(3), ElementsAre(4));
}

TEST_F(CatalogTest, AQuarantineEndsWithNewFilesOrAnOperatorsChoice) {
  catalog_.quarantine(failure(3, "verify"), "1");
  EXPECT_EQ(row_of(3), "quarantined verify why");
  EXPECT_FALSE(catalog_.is_due(3, "1", 0));
  EXPECT_FALSE(catalog_.is_due(3, "", 0)) << "nothing says that the files changed";
  EXPECT_STREQ(catalog_.why_not({3})->what(), "version 3: verify: why");
  EXPECT_TRUE(catalog_.is_due(3, "2", 0));
  EXPECT_EQ(row_of(3), "available  ");
  catalog_.quarantine(failure(3, "verify"), "1");
  catalog_.choose(3);
  EXPECT_TRUE(catalog_.is_due(3, "1", 0));
  EXPECT_THROW(catalog_.choose(9), Error);
}

TEST_F(CatalogTest, AFaultOfTheMachineDelaysOneVersionEverLonger) {
  double now_s = 100;
  for (const double delay_s : {1, 2, 4, 8, 16, 32, 60, 60}) {
    catalog_.delay_for_machine(failure(3, kMachineFaultReason), "1", now_s);
    EXPECT_FALSE(catalog_.is_due(3, "1", now_s + delay_s - 0.01));
    EXPECT_TRUE(catalog_.is_due(2, "1", now_s));
    EXPECT_FALSE(catalog_.is_on_hold(now_s));
    now_s += delay_s;
    EXPECT_TRUE(catalog_.is_due(3, "1", now_s));
  }
  catalog_.delay_for_machine(failure(3, kMachineFaultReason), "1", now_s);
  EXPECT_TRUE(catalog_.is_due(3, "2", now_s)) << "new files";
  catalog_.end_delays();
  EXPECT_TRUE(catalog_.is_due(3, "1", now_s));
  EXPECT_EQ(row_of(3), "available machine_fault why");
  EXPECT_EQ(catalog_.why_not({3})->code(), Code::kUnavailable);
  catalog_.end_trial(3, false);
  EXPECT_EQ(row_of(3), "available  ");
}

TEST_F(CatalogTest, ShortMemoryDelaysEveryVersion) {
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 10);
  EXPECT_EQ(row_of(3), "available out_of_memory why");
  EXPECT_TRUE(catalog_.is_on_hold(10.9));
  EXPECT_FALSE(catalog_.is_on_hold(11));
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 11);
  EXPECT_TRUE(catalog_.is_on_hold(12.9));
  catalog_.begin_trial(3);
  EXPECT_EQ(row_of(3), "loading  ");
  catalog_.published(3, 2);
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 20);
  EXPECT_FALSE(catalog_.is_on_hold(21)) << "a publication starts the delays anew";
}

TEST_F(CatalogTest, AMemoryDelayOutlivesTheReturnOfWhatWasFreed) {
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 10);
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 11);
  const Catalog::MemoryDelay delay = catalog_.memory_delay();
  catalog_.published(1, 0);
  catalog_.restore_memory_delay(delay, true);
  EXPECT_TRUE(catalog_.is_on_hold(12.9));
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 13);
  EXPECT_TRUE(catalog_.is_on_hold(16.9)) << "the third delay, as if nothing had been published between";
}

TEST_F(CatalogTest, WhatFailedIsForgottenWithItsFiles) {
  catalog_.quarantine(failure(1, "load"), "1");
  catalog_.delay_for_machine(failure(2, kMachineFaultReason), "1", 0);
  catalog_.delay_for_memory(failure(3, kOutOfMemoryReason), 0);
  source_.entries.clear();
  source_.add(4);
  catalog_.refresh();
  EXPECT_THAT(catalog_.quarantined(), IsEmpty());
  EXPECT_THAT(catalog_.list({}), SizeIs(1));
}

TEST_F(CatalogTest, MemoryGoesBeforeFilesInTheList) {
  catalog_.quarantine(failure(3, "load"), "1");
  LoadedVersions loaded{
      .served = 3,
      .rows = {{.version = 3, .state = VersionState::kRetired}, {.version = 9, .state = VersionState::kRetired}}};
  EXPECT_EQ(row_of(3, loaded), "served  ");
  EXPECT_EQ(row_of(9, loaded), "retired  ") << "its files are gone";
  catalog_.begin_trial(3);
  EXPECT_EQ(row_of(3, loaded), "loading  ");
}

TEST_F(CatalogTest, UnloadHoldsPollsUntilAPublication) {
  EXPECT_TRUE(catalog_.unload(2));
  EXPECT_FALSE(catalog_.unload(0)) << "what was taken away first counts";
  EXPECT_TRUE(catalog_.is_on_hold(0));
  EXPECT_EQ(catalog_.unloaded(), 2);
  EXPECT_EQ(row_of(2), concat("available unloaded ", kUnloaded));
  catalog_.published(3, 0);
  EXPECT_FALSE(catalog_.is_on_hold(0));
  EXPECT_EQ(catalog_.rollback_target(3), 2) << "what was unloaded served before";
}

TEST_F(CatalogTest, ARollbackNeverGoesToAQuarantinedVersionThatDidNotServe) {
  catalog_.quarantine(failure(2, "load"), "1");
  EXPECT_EQ(catalog_.rollback_target(3), 1);
  catalog_.published(3, 2);
  EXPECT_EQ(catalog_.rollback_target(3), 2);
  catalog_.forget_served(2);
  EXPECT_EQ(catalog_.rollback_target(3), 1);
  EXPECT_THROW(catalog_.rollback_target(1), Error);
}

TEST_F(CatalogTest, AStoreThatCannotBeReadKeepsWhatWasKnown) {
  source_.listing_error = "store: gone";
  EXPECT_FALSE(catalog_.refresh());
  EXPECT_EQ(catalog_.store_error(), "store: gone");
  EXPECT_THAT(catalog_.list({}), SizeIs(3));
  source_.listing_error.clear();
  EXPECT_TRUE(catalog_.refresh());
  EXPECT_EQ(catalog_.store_error(), "");
  EXPECT_EQ(events_.back().result, "recovered");
}

}  // namespace
}  // namespace sf::server
