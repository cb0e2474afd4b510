#include "server/versions/reloader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <system_error>

#include "engine/base/machine_fault.h"
#include "tests/server/versions/fake_source.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReloaderTest : public ::testing::Test {
 protected:
  ReloaderTest() {
    deps_ = test::quiet_deps(clock_, metrics_, drain_rate_);
    reloader_ = std::make_unique<Reloader>(ReloaderOptions(), source_, slot_, deps_,
                                           [this](const ReloadEvent& event) { events_.push_back(event); });
  }

  int64_t served() const { return slot_.current() ? slot_.current()->version : 0; }
  std::string reloads(const std::string& result, const std::string& reason) {
    const std::string series = "sparsefusion_model_reloads_total{result=\"" + result + "\",reason=\"" + reason + "\"} ";
    const std::string text = metrics_.text({}, clock_.now_s());
    const size_t at = text.find(series);
    return at == std::string::npos ? "absent"
                                   : text.substr(at + series.size(), text.find('\n', at) - at - series.size());
  }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps deps_;
  FakeSource source_;
  ModelSlot slot_{
      [this](const ServingVersion& version) { metrics_.retire_version(version.metrics.get(), clock_.now_s()); }};
  std::vector<ReloadEvent> events_;
  std::unique_ptr<Reloader> reloader_;
};

TEST_F(ReloaderTest, AnEmptyStoreServesNothing) {
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 0);
  EXPECT_THAT(events_, IsEmpty());
}

TEST_F(ReloaderTest, ServesTheHighestAndWarmsItUp) {
  source_.add(2);
  source_.add(10);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 10);
  EXPECT_EQ(source_.entries[2].num_opened, 0);
  EXPECT_TRUE(dynamic_cast<FakeEngine&>(*slot_.current()->engine).warmed_up());
  EXPECT_TRUE(source_.is_held(10)) << "the trainer must not prune what is served";
  EXPECT_EQ(reloads("success", "none"), "1");
  EXPECT_FALSE(reloader_->poll_once()) << "nothing is new";
}

TEST_F(ReloaderTest, ABrokenNewestFallsBackToTheOneBelow) {
  source_.add(1);
  source_.add(2).on_open = [] { throw Error(Code::kDataLoss, "model.safetensors: truncated", "model.safetensors"); };
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  ASSERT_EQ(reloader_->quarantined().size(), 1u);
  EXPECT_EQ(reloader_->quarantined()[0].version, 2);
  EXPECT_EQ(reloader_->quarantined()[0].reason, "verify");
  EXPECT_THAT(reloader_->quarantined()[0].message, HasSubstr("model.safetensors: truncated"));
  EXPECT_EQ(reloads("failure", "verify"), "1");
}

TEST_F(ReloaderTest, AQuarantinedVersionIsNotReadAgainUntilItChanges) {
  source_.add(1).on_open = [] { throw Error(Code::kDataLoss, "bad"); };
  for (int i = 0; i < 5; ++i) reloader_->poll_once();
  EXPECT_EQ(source_.entries[1].num_opened, 1);
  source_.entries[1].fingerprint = "2";
  source_.entries[1].on_open = [] {};
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_THAT(reloader_->quarantined(), IsEmpty());
}

TEST_F(ReloaderTest, AQuarantinedVersionThatVanishesIsForgotten) {
  source_.add(1).on_open = [] { throw Error(Code::kDataLoss, "bad"); };
  reloader_->poll_once();
  source_.entries.clear();
  reloader_->poll_once();
  EXPECT_THAT(reloader_->quarantined(), IsEmpty());
}

TEST_F(ReloaderTest, AVersionThatVanishesBeforeItIsReadIsNoFailure) {
  source_.add(1).on_open = [] { throw Error(Code::kNotFound, "gone"); };
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_THAT(reloader_->quarantined(), IsEmpty());
  EXPECT_THAT(events_, IsEmpty());
}

TEST_F(ReloaderTest, AFailedLoadKeepsTheOldVersion) {
  source_.add(1);
  reloader_->poll_once();
  source_.add(2).load = []() -> std::unique_ptr<Engine> { throw std::runtime_error("shape mismatch in layer 3"); };
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  EXPECT_EQ(reloader_->quarantined().at(0).reason, "load");
  EXPECT_EQ(reloads("failure", "load"), "1");
  EXPECT_FALSE(source_.is_held(2));
}

TEST_F(ReloaderTest, AFailedWarmUpKeepsTheOldVersion) {
  class ColdEngine final : public Engine {
   public:
    const ModelInfo& info() const override { return info_; }
    PromptCost estimate_cost(const std::vector<Message>&) const override { return {}; }
    PreparedPromptPtr prepare(const std::vector<Message>&, const PrepareCheck&) const override { return nullptr; }
    std::unique_ptr<TokenStream> token_stream() const override { return nullptr; }
    SequenceId admit(PreparedPromptPtr, const SamplingParams&) override { return 0; }
    void release(SequenceId) override {}
    void preempt(SequenceId) override {}
    int tokens_to_compute(SequenceId) const override { return 0; }
    StepResult step(const StepPlan&) override { return {}; }
    CacheUsage cache_usage() const override { return {}; }
    void warm_up() override { throw Error(Code::kInternal, "logits are not finite"); }

   private:
    ModelInfo info_;
  };
  source_.add(1);
  reloader_->poll_once();
  source_.add(2).load = [] { return std::make_unique<ColdEngine>(); };
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  EXPECT_EQ(reloader_->quarantined().at(0).reason, "warmup");
}

TEST_F(ReloaderTest, ALoadOutOfMemoryIsTriedAgainEverLessOften) {
  source_.add(1);
  reloader_->poll_once();
  int attempts = 0;
  source_.add(2).load = [&]() -> std::unique_ptr<Engine> {
    if (++attempts % 2 == 1) throw std::bad_alloc();
    throw Error(Code::kResourceExhausted, "out of memory");
  };
  reloader_->poll_once();
  reloader_->poll_once();
  EXPECT_EQ(attempts, 1) << "the first retry is a second later";
  clock_.advance(1);
  reloader_->poll_once();
  EXPECT_EQ(attempts, 2);
  clock_.advance(1.5);
  reloader_->poll_once();
  EXPECT_EQ(attempts, 2) << "the second two seconds later";
  clock_.advance(0.5);
  reloader_->poll_once();
  EXPECT_EQ(attempts, 3);
  EXPECT_THAT(reloader_->quarantined(), IsEmpty());
  EXPECT_EQ(reloads("failure", "out_of_memory"), "3");
  EXPECT_EQ(served(), 1);
  source_.add(2);
  clock_.advance(60);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 2);
}

TEST_F(ReloaderTest, AWorseScoreIsRefused) {
  source_.add(1, 0.96);
  reloader_->poll_once();
  source_.add(2, 0.93);
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(served(), 1);
  EXPECT_EQ(reloader_->quarantined().at(0).reason, "score");
  EXPECT_EQ(reloads("refused", "score"), "1");
  source_.add(3, 0.945);
  EXPECT_TRUE(reloader_->poll_once()) << "a small drop passes";
}

TEST_F(ReloaderTest, AScoreOfAnotherEvaluationIsNotCompared) {
  source_.add(1, 0.96).evaluation_id = "circles";
  reloader_->poll_once();
  source_.add(2, 0.5).evaluation_id = "own rows";
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 2);
  source_.add(3, 0.4).evaluation_id = "own rows";
  EXPECT_FALSE(reloader_->poll_once()) << "of the same evaluation and worse";
  EXPECT_EQ(reloader_->quarantined().at(0).reason, "score");
}

TEST_F(ReloaderTest, ScoresThatAreMissingRefuseNobody) {
  source_.add(1, 0.9);
  reloader_->poll_once();
  source_.add(2);
  EXPECT_TRUE(reloader_->poll_once());
  source_.add(3, 0.1);
  EXPECT_TRUE(reloader_->poll_once());
}

TEST_F(ReloaderTest, AFaultOfTheMachineIsTriedAgainEverLessOftenAndNeverQuarantined) {
  source_.add(1);
  reloader_->poll_once();
  int attempts = 0;
  source_.add(2).on_open = [&] {
    ++attempts;
    throw_errno("model.safetensors: file: cannot open", attempts % 2 == 1 ? EMFILE : EIO, "model.safetensors");
  };
  std::vector<double> tried_at_s;
  for (int second = 0; second < 400; ++second) {
    const int before = attempts;
    reloader_->poll_once();
    if (attempts != before) tried_at_s.push_back(second);
    clock_.advance(1);
  }
  EXPECT_EQ(tried_at_s, (std::vector<double>{0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363}));
  EXPECT_THAT(reloader_->quarantined(), IsEmpty());
  EXPECT_EQ(reloader_->list().at(1).state, VersionState::kAvailable);
  EXPECT_EQ(reloader_->list().at(1).reason, "machine_fault");
  EXPECT_THAT(reloader_->list().at(1).message, HasSubstr("Input/output error"));
  EXPECT_EQ(reloads("failure", "machine_fault"), "12");
  EXPECT_EQ(events_.back().reason, "machine_fault");
  EXPECT_EQ(served(), 1);
  source_.entries[2].on_open = [] {};
  clock_.advance(60);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 2);
  EXPECT_EQ(reloader_->list().at(1).reason, "");
}

TEST_F(ReloaderTest, EveryErrnoOfTheMachineInEveryStageIsRetried) {
  const auto faults = {EMFILE, ENFILE, EIO, ESTALE, EACCES, EPERM, ENOMEM, EINTR, EAGAIN, ENOSPC};
  for (const int error : faults) {
    source_.add(1).on_open = [error] { throw_errno("file: cannot read", error, "config.json"); };
    EXPECT_FALSE(reloader_->poll_once());
    EXPECT_THAT(reloader_->quarantined(), IsEmpty()) << error;
    clock_.advance(60);
    source_.add(1).on_open = [] {};
    source_.entries[1].load = [error]() -> std::unique_ptr<Engine> {
      throw std::system_error(error, std::generic_category(), "a thread cannot be started");
    };
    EXPECT_FALSE(reloader_->poll_once());
    EXPECT_THAT(reloader_->quarantined(), IsEmpty()) << error;
    clock_.advance(60);
  }
  EXPECT_EQ(reloads("failure", "machine_fault"), std::to_string(2 * faults.size()));
  source_.add(1);
  EXPECT_TRUE(reloader_->poll_once());
}

TEST_F(ReloaderTest, WhereTheNewestCannotBeReadTheOneBelowServesMeanwhile) {
  source_.add(4);
  source_.add(5).on_open = [] { throw_errno("config.json: file: cannot open", EACCES, "config.json"); };
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 4);
  source_.entries[5].on_open = [] {};
  clock_.advance(1);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 5);
}

TEST_F(ReloaderTest, NewFilesAndOperatorsDoNotWaitForTheRetry) {
  source_.add(1).on_open = [] { throw_errno("config.json: file: cannot open", EIO, "config.json"); };
  for (int i = 0; i < 9; ++i) {
    reloader_->poll_once();
    clock_.advance(60);
  }
  reloader_->poll_once();
  EXPECT_EQ(source_.entries[1].num_opened, 10);
  reloader_->poll_once();
  EXPECT_EQ(source_.entries[1].num_opened, 10);
  source_.entries[1].fingerprint = "2";
  reloader_->poll_once();
  EXPECT_EQ(source_.entries[1].num_opened, 11);
  try {
    reloader_->load_newest();
    FAIL() << "loaded what cannot be read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("Input/output error"));
  }
  EXPECT_EQ(source_.entries[1].num_opened, 12);
}

TEST_F(ReloaderTest, AFingerprintThatCannotBeTakenKeepsTheQuarantine) {
  source_.add(1).on_open = [] { throw Error(Code::kDataLoss, "bad"); };
  reloader_->poll_once();
  source_.entries[1].fingerprint = "";
  reloader_->poll_once();
  EXPECT_EQ(source_.entries[1].num_opened, 1);
  EXPECT_EQ(reloader_->quarantined().size(), 1u);
}

TEST_F(ReloaderTest, FactsThatCouldNotBeReadAreAskedForAgain) {
  source_.add(1);
  source_.add(2, 0.5);
  source_.facts_known = false;
  reloader_->poll_once();
  EXPECT_EQ(reloader_->list().at(0).facts.step, 0);
  source_.facts_known = true;
  reloader_->poll_once();
  EXPECT_EQ(reloader_->list().at(0).facts.step, 100);
  const int asked = source_.num_facts;
  reloader_->poll_once();
  EXPECT_EQ(source_.num_facts, asked) << "known facts are kept while the files stay";
}

TEST_F(ReloaderTest, AStoreThatIsLostIsCountedShownAndComesBack) {
  const auto store_up = [&] {
    const std::string text = metrics_.text({}, clock_.now_s());
    const std::string series = "\nsparsefusion_model_store_up ";
    return text.at(text.find(series) + series.size());
  };
  source_.add(1);
  reloader_->poll_once();
  EXPECT_EQ(store_up(), '1');
  source_.listing_error = "store: it is gone";
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(store_up(), '0');
  EXPECT_EQ(reloads("failure", "store"), "1");
  EXPECT_EQ(events_.back().reason, "store");
  EXPECT_EQ(events_.back().message, "store: it is gone");
  EXPECT_EQ(served(), 1);
  source_.listing_error.clear();
  source_.add(2);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(served(), 2);
  EXPECT_EQ(store_up(), '1');
  EXPECT_EQ(events_.at(events_.size() - 2).result, "recovered");
}

TEST_F(ReloaderTest, AStoreThatLosesAllItsVersionsIsLost) {
  EXPECT_FALSE(reloader_->poll_once());
  EXPECT_THAT(events_, IsEmpty()) << "one that never had any is only empty";
  source_.add(1);
  reloader_->poll_once();
  const FakeSource::Entry kept = source_.entries[1];
  source_.entries.clear();
  for (int i = 0; i < 3; ++i) reloader_->poll_once();
  EXPECT_EQ(reloads("failure", "store"), "1");
  EXPECT_THAT(events_.back().message, HasSubstr("holds none now"));
  EXPECT_EQ(served(), 1);
  source_.entries[1] = kept;
  reloader_->poll_once();
  EXPECT_EQ(events_.back().result, "recovered");
}

TEST_F(ReloaderTest, AnUnreadableStoreIsSaidOnceAndSurvived) {
  source_.add(1);
  reloader_->poll_once();
  source_.listing_error = "store: permission denied";
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(events_.size(), 2u);
  EXPECT_EQ(served(), 1);
}

TEST_F(ReloaderTest, TheOldVersionIsFreedAndItsMarkGoes) {
  source_.add(1);
  reloader_->poll_once();
  source_.add(2);
  reloader_->poll_once();
  slot_.wait_for_live(1);
  EXPECT_FALSE(source_.is_held(1));
  EXPECT_TRUE(source_.is_held(2));
  EXPECT_EQ(slot_.live().size(), 1u);
}

TEST_F(ReloaderTest, ThePollingThreadFindsANewVersion) {
  source_.add(1);
  reloader_->poll_once();
  source_.add(2);
  Reloader polling({.poll_interval_ms = 1}, source_, slot_, deps_, [](const ReloadEvent&) {});
  polling.start();
  while (slot_.current()->version != 2) std::this_thread::yield();
  polling.stop();
}

}  // namespace
}  // namespace sf::server
