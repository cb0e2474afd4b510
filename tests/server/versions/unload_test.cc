// An operator takes the model away and brings it back.
#include <gmock/gmock.h>

#include <future>

#include "tests/server/versions/reloader_fixture.h"
#include "tests/server/versions/submit_question.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class UnloadTest : public ReloaderFixture {
 protected:
  void serve(const std::vector<int64_t>& versions) {
    for (const int64_t version : versions) {
      source_.add(version);
      reloader_->poll_once();
    }
    events_.clear();
  }
  void break_version(int64_t version) {
    source_.add(version).on_open = [] { throw Error(Code::kDataLoss, "model.safetensors: torn"); };
  }
};

TEST_F(UnloadTest, NothingServesAndTheListSaysWhy) {
  serve({1, 2});
  reloader_->unload();
  EXPECT_EQ(served(), 0);
  EXPECT_TRUE(reloader_->is_unloaded());
  slot_->wait_for_live(0);
  EXPECT_EQ(state_of(1), "available");
  EXPECT_EQ(state_of(2), "available unloaded");
  EXPECT_FALSE(source_.is_held(2)) << "the trainer may prune it";
  ASSERT_THAT(events_, SizeIs(1));
  EXPECT_EQ(events_[0].result, "unloaded");
  EXPECT_EQ(events_[0].version, 2);
}

TEST_F(UnloadTest, ANewVersionIsListedAndNotServed) {
  serve({1});
  reloader_->unload();
  source_.add(2);
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 0);
  EXPECT_EQ(state_of(2), "available");
  EXPECT_EQ(source_.entries[2].num_opened, 0);
}

TEST_F(UnloadTest, ALoadServesTheNewestAndPollsGoOn) {
  serve({1});
  reloader_->unload();
  source_.add(2);
  EXPECT_EQ(reloader_->load_newest(), 2);
  EXPECT_FALSE(reloader_->is_unloaded());
  EXPECT_EQ(state_of(2), "served");
  slot_->wait_for_live(1);
  EXPECT_EQ(state_of(1), "available");
  source_.add(3);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 3);
}

TEST_F(UnloadTest, ALoadLooksAtTheStoreNow) {
  serve({1});
  source_.add(2);
  EXPECT_EQ(reloader_->load_newest(), 2);
  EXPECT_EQ(reloader_->load_newest(), 2) << "what serves already is not loaded again";
  EXPECT_EQ(source_.entries[2].num_opened, 1);
}

TEST_F(UnloadTest, ALoadOfABrokenNewestSaysWhyAndChangesNothing) {
  serve({1});
  break_version(2);
  const Error error = refusal([&] { reloader_->load_newest(); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("version 2: verify: model.safetensors: torn"));
  EXPECT_EQ(served(), 1);
  EXPECT_THAT(refusal([&] { reloader_->load_newest(); }).what(), HasSubstr("version 2: verify")) << "quarantined now";
  EXPECT_EQ(source_.entries[2].num_opened, 1);
  source_.add(3);
  EXPECT_EQ(reloader_->load_newest(), 3);
}

TEST_F(UnloadTest, ALoadGoesPastABrokenNewest) {
  serve({1});
  reloader_->unload();
  break_version(2);
  EXPECT_EQ(reloader_->load_newest(), 1);
  EXPECT_EQ(state_of(2), "quarantined verify");
}

TEST_F(UnloadTest, ALoadThatFindsNothingGoodLeavesTheModelUnloaded) {
  serve({1});
  reloader_->unload();
  break_version(1);
  EXPECT_THAT(refusal([&] { reloader_->load_newest(); }).what(), HasSubstr("version 1: verify"));
  EXPECT_TRUE(reloader_->is_unloaded());
  source_.add(2);
  EXPECT_FALSE(reloader_->poll_once());
  source_.entries.clear();
  EXPECT_THAT(refusal([&] { reloader_->load_newest(); }).what(), HasSubstr("no version to serve"));
}

TEST_F(UnloadTest, ALoadWithoutMemoryIsNoFaultOfTheVersion) {
  serve({1});
  reloader_->unload();
  source_.add(2).load = []() -> std::unique_ptr<Engine> { throw std::bad_alloc(); };
  EXPECT_EQ(refusal([&] { reloader_->load_newest(); }).code(), Code::kResourceExhausted);
  EXPECT_EQ(served(), 0);
  source_.add(2);
  EXPECT_EQ(reloader_->load_newest(), 2) << "an operator does not wait for the next try";
}

TEST_F(UnloadTest, AStoreThatCannotBeReadIsSaid) {
  serve({1});
  source_.listing_error = "no such directory";
  const Error error = refusal([&] { reloader_->load_newest(); });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("no such directory"));
  EXPECT_EQ(served(), 1);
}

TEST_F(UnloadTest, RequestsInFlightFinish) {
  serve({1});
  auto& engine = dynamic_cast<FakeEngine&>(*slot_->current()->engine);
  engine.script("q", {"old"});
  engine.hold_steps();
  auto stream = submit_question(slot_->current(), "q");
  engine.wait_until_blocked();
  reloader_->unload();
  EXPECT_EQ(state_of(1), "retired unloaded");
  engine.release_steps();
  std::string text;
  for (bool finished = false; !finished;) {
    const Event event = stream->next(true);
    text += event.text;
    finished = event.finished;
    EXPECT_FALSE(event.error.has_value());
  }
  EXPECT_EQ(text, "old");
  stream.reset();
  slot_->wait_for_live(0);
  EXPECT_EQ(state_of(1), "available unloaded");
}

TEST_F(UnloadTest, SaidTwiceItIsSaidOnce) {
  serve({1});
  reloader_->unload();
  reloader_->unload();
  EXPECT_THAT(events_, SizeIs(1));
  EXPECT_EQ(state_of(1), "available unloaded");
  EXPECT_EQ(reloader_->load_newest(), 1);
}

TEST_F(UnloadTest, BeforeAnythingServedItHoldsToo) {
  reloader_->unload();
  source_.add(1);
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(reloader_->load_newest(), 1);
}

TEST_F(UnloadTest, ARestartServesAgain) {
  serve({1});
  reloader_->unload();
  restart();
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
}

TEST_F(UnloadTest, APinStays) {
  serve({1, 2});
  reloader_->pin(1);
  reloader_->unload();
  EXPECT_EQ(PinFile(root_ / ".pinned").read(), 1);
  slot_->wait_for_live(0);
  EXPECT_EQ(state_of(1), "available pinned unloaded");
  EXPECT_EQ(refusal([&] { reloader_->pin(0); }).code(), Code::kFailedPrecondition) << "none is served";
  EXPECT_EQ(reloader_->load_newest(), 1);
}

TEST_F(UnloadTest, EveryCommandThatChoosesAVersionServesAgain) {
  serve({1, 2});
  reloader_->unload();
  reloader_->load(1);
  EXPECT_EQ(served(), 1);
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(reloader_->load_newest(), 2) << "the newest, whatever was chosen before";
  reloader_->unload();
  EXPECT_EQ(reloader_->rollback(), 1) << "before what was unloaded";
  EXPECT_FALSE(reloader_->is_unloaded());
  reloader_->unload();
  reloader_->pin(2);
  EXPECT_EQ(served(), 2);
  reloader_->unload();
  reloader_->unpin();
  EXPECT_EQ(served(), 0) << "unpin chooses none";
}

TEST_F(UnloadTest, RollbackGoesBackToWhatWasUnloaded) {
  serve({1, 2});
  reloader_->unload();
  source_.add(3);
  EXPECT_EQ(reloader_->load_newest(), 3);
  EXPECT_EQ(reloader_->rollback(), 2);
}

TEST_F(UnloadTest, ReplaceStillHoldsMemoryForOneOnly) {
  restart(ReloadMode::kReplace);
  serve({1});
  ServingVersionPtr in_flight = slot_->current();
  const std::weak_ptr<Engine> old = in_flight->engine;
  reloader_->unload();
  bool was_gone = false;
  FakeSource::Entry& second = source_.add(2);
  second.load = [&, load = second.load] {
    was_gone = old.expired();
    return load();
  };
  auto loaded = std::async(std::launch::async, [&] { return reloader_->load_newest(); });
  in_flight.reset();
  EXPECT_EQ(loaded.get(), 2);
  EXPECT_TRUE(was_gone);
}

// The frontends answer before the first version is loaded.
TEST_F(UnloadTest, ACommandWaitsForTheFirstPoll) {
  std::promise<void> opened, go_on;
  source_.add(1).on_open = [&] {
    opened.set_value();
    go_on.get_future().wait();
  };
  auto poll = std::async(std::launch::async, [&] { return reloader_->poll_once(); });
  opened.get_future().wait();
  auto unload = std::async(std::launch::async, [&] { reloader_->unload(); });
  EXPECT_EQ(unload.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  go_on.set_value();
  EXPECT_TRUE(poll.get());
  unload.get();
  EXPECT_EQ(served(), 0);
}

TEST_F(UnloadTest, AReasonIsTextWhateverTheFileHolds) {
  source_.add(1).on_open = [] { throw Error(Code::kDataLoss, "config.json: \xff\xfe"); };
  reloader_->poll_once();
  EXPECT_EQ(reloader_->list().at(0).message, "config.json: \uFFFD\uFFFD");
}

}  // namespace
}  // namespace sf::server
