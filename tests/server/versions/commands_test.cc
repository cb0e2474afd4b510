// The commands by themselves: no reloader, no queue. How they behave between polls: reloader_commands_test.cc.
#include "server/versions/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/base/machine_fault.h"
#include "tests/server/versions/fake_source.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    deps_ = test::quiet_deps(clock_, metrics_, drain_rate_);
    loader_ = std::make_unique<Loader>(LoaderOptions(), catalog_, source_, slot_, deps_);
    commands_ = std::make_unique<Commands>(catalog_, *loader_, slot_, pin_file_);
    for (const int64_t version : {1, 2, 3}) source_.add(version);
  }
  ~CommandsTest() override { std::filesystem::remove_all(root_); }
  static std::filesystem::path make_root() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sf_pin_XXXXXX").string();
    return mkdtemp(pattern.data());
  }
  Code refusal(const std::function<void()>& command) {
    try {
      command();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kOk;
  }

  const std::filesystem::path root_ = make_root();
  const PinFile pin_file_{root_ / ".pinned"};
  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps deps_;
  FakeSource source_;
  ModelSlot slot_;
  std::vector<ReloadEvent> events_;
  Catalog catalog_{{.pin_path = root_ / ".pinned"}, source_, metrics_, [this](const ReloadEvent& event) {
                     events_.push_back(event);
                   }};
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Commands> commands_;
};

TEST_F(CommandsTest, ALoadPassesOverWhatStandsInTheStore) {
  commands_->load(2);
  EXPECT_EQ(slot_.current_version(), 2);
  EXPECT_THAT(catalog_.to_try(2), IsEmpty()) << "3 was there when the operator chose";
  commands_->load(2);
  EXPECT_EQ(source_.entries[2].num_opened, 1) << "what serves is not loaded again";
  commands_->unpin();
  EXPECT_THAT(catalog_.to_try(2), ElementsAre(3));
}

TEST_F(CommandsTest, ALoadThatFailsPassesOverNothing) {
  commands_->load(1);
  commands_->unpin();
  source_.entries[2].on_open = [] { throw Error(Code::kDataLoss, "torn"); };
  EXPECT_EQ(refusal([&] { commands_->load(2); }), Code::kFailedPrecondition);
  EXPECT_THAT(catalog_.to_try(1), ElementsAre(3, 2));
}

TEST_F(CommandsTest, EveryOutcomeHasItsCode) {
  const std::vector<std::pair<Code, std::function<void()>>> faults = {
      {Code::kNotFound, [] { throw Error(Code::kNotFound, "gone"); }},
      {Code::kResourceExhausted, [] { throw std::bad_alloc(); }},
      {Code::kUnavailable, [] { throw MachineFault(Code::kPermissionDenied, "cannot open"); }},
      {Code::kFailedPrecondition, [] { throw Error(Code::kDataLoss, "torn"); }}};
  for (const auto& [code, fault] : faults) {
    source_.entries[1].on_open = fault;
    EXPECT_EQ(refusal([&] { commands_->load(1); }), code);
  }
  EXPECT_EQ(refusal([&] { commands_->load(9); }), Code::kNotFound);
  source_.entries[2].is_waiting = true;
  EXPECT_EQ(refusal([&] { commands_->load(2); }), Code::kFailedPrecondition);
}

TEST_F(CommandsTest, APinThatFailsRestoresTheFile) {
  commands_->pin(2);
  EXPECT_EQ(refusal([&] { commands_->pin(9); }), Code::kNotFound);
  EXPECT_EQ(pin_file_.read(), 2);
  EXPECT_EQ(catalog_.pinned(), 2);
}

TEST_F(CommandsTest, APinIsReadFromTheFileBeforeACommand) {
  commands_->load(1);
  std::ofstream(root_ / ".pinned") << "3\n";  // another server on the same store
  EXPECT_EQ(refusal([&] { commands_->load(2); }), Code::kFailedPrecondition);
  EXPECT_EQ(commands_->load_newest(), 3);
}

TEST_F(CommandsTest, ALoadOfTheNewestThatFailsKeepsWhatWasPassedOver) {
  commands_->load(2);
  source_.entries[3].on_open = [] { throw Error(Code::kDataLoss, "torn"); };
  EXPECT_EQ(refusal([&] { commands_->load_newest(); }), Code::kFailedPrecondition);
  source_.entries[3].fingerprint = "2";
  EXPECT_THAT(catalog_.to_try(2), IsEmpty());
}

TEST_F(CommandsTest, RollbacksGoFurtherBack) {
  for (const int64_t version : {1, 2, 3}) commands_->load(version);
  EXPECT_EQ(commands_->rollback(), 2);
  EXPECT_EQ(catalog_.pinned(), 2);
  EXPECT_EQ(commands_->rollback(), 1);
  EXPECT_EQ(refusal([&] { commands_->rollback(); }), Code::kFailedPrecondition);
}

TEST_F(CommandsTest, UnloadIsLoggedOnceAndEndsWithALoad) {
  commands_->load(2);
  events_.clear();
  commands_->unload();
  commands_->unload();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].result, "unloaded");
  EXPECT_EQ(slot_.current_version(), 0);
  EXPECT_EQ(commands_->load_newest(), 3);
  EXPECT_EQ(commands_->rollback(), 2);
}

}  // namespace
}  // namespace sf::server
