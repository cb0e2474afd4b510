#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/base/machine_fault.h"
#include "tests/server/versions/reloader_fixture.h"
#include "tests/support/no_free_files.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using ReloaderCommandsTest = ReloaderFixture;

TEST_F(ReloaderCommandsTest, AWrongGoldenAnswerIsQuarantinedAndTheOldVersionServes) {
  source_.add(1);
  reloader_->poll_once();
  source_.add(2).golden = {{"IMG", {{"version?", "v1"}}}};
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  EXPECT_EQ(state_of(2), "quarantined canary");
  EXPECT_THAT(reloader_->quarantined().at(0).message, HasSubstr("'version?' was answered 'v2'"));
  EXPECT_THAT(metrics_.text({}, 0), HasSubstr("model_reloads_total{result=\"failure\",reason=\"canary\"} 1"));
  source_.add(3).golden = {{"IMG", {{"version?", "v3"}}}};
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 3);
}

TEST_F(ReloaderCommandsTest, EveryStageIsTimed) {
  source_.add(1);
  reloader_->poll_once();
  const std::string text = metrics_.text({}, 0);
  for (const char* stage : {"verify", "load", "warmup", "canary", "publish"}) {
    EXPECT_THAT(text, HasSubstr(concat("model_reload_seconds_count{stage=\"", stage, "\"} 1"))) << stage;
  }
}

TEST_F(ReloaderCommandsTest, ListsEveryVersionWithItsState) {
  EXPECT_THAT(reloader_->list(), IsEmpty());
  source_.add(1, 0.5);
  source_.add(2);
  source_.add(3).on_open = [] { throw Error(Code::kDataLoss, "model.safetensors: truncated"); };
  reloader_->poll_once();
  EXPECT_EQ(state_of(1), "available");
  EXPECT_EQ(state_of(2), "served");
  EXPECT_EQ(state_of(3), "quarantined verify");
  const VersionStatus first = reloader_->list().at(0);
  EXPECT_EQ(first.facts.digest, "digest1");
  EXPECT_EQ(first.facts.step, 100);
  EXPECT_EQ(first.facts.score, 0.5);
}

TEST_F(ReloaderCommandsTest, AVersionThatLoadsAndOneThatStillAnswersAreListed) {
  source_.add(1);
  reloader_->poll_once();
  ServingVersionPtr in_flight = slot_->current();
  std::string seen;
  source_.add(2).on_open = [&] { seen = state_of(2); };
  reloader_->poll_once();
  EXPECT_EQ(seen, "loading");
  source_.entries.erase(1);
  reloader_->poll_once();
  EXPECT_EQ(state_of(1), "retired") << "gone from the store, not yet from memory";
  std::weak_ptr<ServingVersion> generation = in_flight;
  in_flight.reset();
  slot_->wait_for_live(1);
  EXPECT_TRUE(generation.expired());
  EXPECT_EQ(state_of(1), "absent");
}

TEST_F(ReloaderCommandsTest, GenerationsNeverLeak) {
  std::vector<std::weak_ptr<Engine>> engines;
  for (int64_t version = 1; version <= 50; ++version) {
    source_.add(version);
    ASSERT_TRUE(reloader_->poll_once());
    engines.push_back(slot_->current()->engine);
    source_.entries.erase(version - 1);
  }
  slot_->wait_for_live(1);
  for (size_t i = 0; i + 1 < engines.size(); ++i) EXPECT_TRUE(engines[i].expired()) << i + 1;
  EXPECT_FALSE(engines.back().expired());
  reloader_->poll_once();
  EXPECT_EQ(reloader_->list().size(), 1u);
}

TEST_F(ReloaderCommandsTest, APinnedVersionStaysAndSurvivesARestart) {
  source_.add(1, 0.5);
  source_.add(2, 0.9);
  reloader_->poll_once();
  reloader_->pin(1);
  EXPECT_EQ(served(), 1) << "an operator's choice goes before the score";
  EXPECT_EQ(state_of(1), "served pinned");
  source_.add(3);
  EXPECT_FALSE(reloader_->poll_once());
  restart();
  reloader_->poll_once();
  EXPECT_EQ(served(), 1);
  EXPECT_EQ(state_of(1), "served pinned");
  reloader_->unpin();
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 3);
  restart();
  reloader_->poll_once();
  EXPECT_EQ(served(), 3);
}

TEST_F(ReloaderCommandsTest, PinWithoutANumberTakesTheServedOne) {
  EXPECT_EQ(refusal([&] { reloader_->pin(0); }).code(), Code::kFailedPrecondition);
  source_.add(4);
  reloader_->poll_once();
  reloader_->pin(0);
  EXPECT_EQ(state_of(4), "served pinned");
}

TEST_F(ReloaderCommandsTest, APinOfABrokenVersionChangesNothing) {
  source_.add(1);
  source_.add(2);
  reloader_->poll_once();
  reloader_->pin(2);
  source_.entries[1].on_open = [] { throw Error(Code::kDataLoss, "config.json: torn"); };
  const Error error = refusal([&] { reloader_->pin(1); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("verify: config.json: torn"));
  EXPECT_EQ(served(), 2);
  EXPECT_EQ(PinFile(root_ / ".pinned").read(), 2);
  EXPECT_EQ(refusal([&] { reloader_->pin(9); }).code(), Code::kNotFound);
  EXPECT_EQ(PinFile(root_ / ".pinned").read(), 2);
}

TEST_F(ReloaderCommandsTest, AFailedPinWithoutAnEarlierOneLeavesNone) {
  source_.add(1);
  reloader_->poll_once();
  EXPECT_EQ(refusal([&] { reloader_->pin(9); }).code(), Code::kNotFound);
  EXPECT_FALSE(PinFile(root_ / ".pinned").read().has_value());
}

TEST_F(ReloaderCommandsTest, APinnedVersionThatIsGoneIsStoodInForFromBelow) {
  PinFile(root_ / ".pinned").write(5);
  source_.add(3);
  source_.add(4);
  source_.add(6);
  reloader_->poll_once();
  EXPECT_EQ(served(), 4) << "an operator pinned 5 against what is above it";
  source_.add(5);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 5);
}

TEST_F(ReloaderCommandsTest, APinFileThatHoldsNonsenseIsSaidOnceAndKeepsWhatWasKnown) {
  source_.add(1);
  source_.add(2);
  reloader_->poll_once();
  reloader_->pin(1);
  events_.clear();
  std::ofstream(root_ / ".pinned") << "latest\n";
  reloader_->poll_once();
  reloader_->poll_once();
  EXPECT_EQ(served(), 1);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].reason, "pin");
}

TEST_F(ReloaderCommandsTest, RollbackGoesToWhatServedBeforeAndPinsIt) {
  for (const int64_t version : {1, 2, 3}) {
    source_.add(version);
    reloader_->poll_once();
  }
  EXPECT_EQ(reloader_->rollback(), 2);
  EXPECT_EQ(state_of(2), "served pinned");
  reloader_->poll_once();
  EXPECT_EQ(served(), 2);
  EXPECT_EQ(reloader_->rollback(), 1) << "further back, not forth";
  EXPECT_EQ(refusal([&] { reloader_->rollback(); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(served(), 1);
}

TEST_F(ReloaderCommandsTest, RollbackAfterARestartGoesBelow) {
  source_.add(1);
  source_.add(2).on_open = [] { throw Error(Code::kDataLoss, "torn"); };
  source_.add(3);
  reloader_->poll_once();
  EXPECT_EQ(refusal([&] { reloader_->load(2); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(reloader_->rollback(), 1) << "2 is quarantined";
}

TEST_F(ReloaderCommandsTest, ALoadedVersionServesUntilANewerOneComes) {
  source_.add(1);
  source_.add(2);
  reloader_->poll_once();
  reloader_->load(1);
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  source_.add(3);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 3);
}

TEST_F(ReloaderCommandsTest, ALoadTriesAQuarantinedVersionAgain) {
  source_.add(1, 0.9);
  reloader_->poll_once();
  source_.add(2, 0.1);
  reloader_->poll_once();
  EXPECT_EQ(state_of(2), "quarantined score");
  reloader_->load(2);
  EXPECT_EQ(state_of(2), "served");
}

TEST_F(ReloaderCommandsTest, ALoadBesideAPinIsRefused) {
  source_.add(1);
  source_.add(2);
  reloader_->poll_once();
  reloader_->pin(2);
  EXPECT_EQ(refusal([&] { reloader_->load(1); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(refusal([&] { reloader_->load(7); }).code(), Code::kFailedPrecondition);
  reloader_->unpin();
  EXPECT_EQ(refusal([&] { reloader_->load(7); }).code(), Code::kNotFound);
}

TEST_F(ReloaderCommandsTest, ShortOfMemoryIsSaidAndNotQuarantined) {
  source_.add(1);
  reloader_->poll_once();
  source_.add(2).load = []() -> std::unique_ptr<Engine> { throw std::bad_alloc(); };
  EXPECT_EQ(refusal([&] { reloader_->load(2); }).code(), Code::kResourceExhausted);
  EXPECT_EQ(state_of(2), "available out_of_memory");
  EXPECT_EQ(served(), 1);
}

TEST_F(ReloaderCommandsTest, AFaultOfTheMachineIsSaidAndNotQuarantined) {
  source_.add(1);
  reloader_->poll_once();
  source_.add(2).on_open = [] { throw_errno("config.json: file: cannot open", ESTALE, "config.json"); };
  const Error error = refusal([&] { reloader_->load(2); });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("Stale file handle"));
  EXPECT_EQ(state_of(2), "available machine_fault");
  EXPECT_EQ(served(), 1);
}

// The pin may be what keeps a bad version from being served.
TEST_F(ReloaderCommandsTest, UntilThePinFileCanBeReadNothingIsServed) {
  source_.add(1);
  source_.add(2);
  reloader_->poll_once();
  reloader_->pin(1);
  restart();
  {
    const NoFreeFiles full;
    EXPECT_FALSE(reloader_->poll_once());
    EXPECT_EQ(served(), 0);
    EXPECT_EQ(events_.back().reason, "pin");
  }
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  {
    const NoFreeFiles full;
    source_.add(3);
    EXPECT_FALSE(reloader_->poll_once());
  }
  EXPECT_EQ(served(), 1) << "what was known stays";
}

TEST_F(ReloaderCommandsTest, ReplaceFreesTheOldBeforeTheNewIsLoaded) {
  restart(ReloadMode::kReplace);
  source_.add(1);
  reloader_->poll_once();
  const std::weak_ptr<Engine> old = slot_->current()->engine;
  bool was_gone = false;
  FakeSource::Entry& second = source_.add(2);
  second.load = [&, load = second.load] {
    was_gone = old.expired() && slot_->current() == nullptr;
    return load();
  };
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_TRUE(was_gone);
  EXPECT_EQ(served(), 2);
}

TEST_F(ReloaderCommandsTest, AReplacementThatFailsBringsTheOldVersionBack) {
  restart(ReloadMode::kReplace);
  source_.add(1, 0.9);
  reloader_->poll_once();
  source_.add(2, 0.95).load = []() -> std::unique_ptr<Engine> { throw Error(Code::kDataLoss, "shapes differ"); };
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  EXPECT_EQ(state_of(2), "quarantined load");
  source_.add(3, 0.1);
  const std::weak_ptr<Engine> engine = slot_->current()->engine;
  reloader_->poll_once();
  EXPECT_FALSE(engine.expired()) << "a worse score is seen before anything is freed";
}

TEST_F(ReloaderCommandsTest, CommandsRunOnTheReloadingThreadAndEndWithIt) {
  source_.add(1);
  source_.add(2);
  reloader_->poll_once();
  reloader_->start();
  reloader_->pin(1);
  EXPECT_EQ(served(), 1);
  reloader_->stop();
  EXPECT_EQ(refusal([&] { reloader_->unpin(); }).code(), Code::kUnavailable);
}

TEST_F(ReloaderCommandsTest, WithoutAPlaceNothingIsPinned) {
  Reloader reloader({}, source_, *slot_, deps_, [](const ReloadEvent&) {});
  source_.add(1);
  reloader.poll_once();
  EXPECT_EQ(refusal([&] { reloader.pin(1); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(refusal([&] { PinFile(root_ / "no" / "such" / "pin").write(1); }).code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace sf::server
