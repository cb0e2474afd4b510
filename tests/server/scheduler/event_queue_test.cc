#include "server/scheduler/event_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace sf::server {
namespace {

TEST(EventQueueTest, GivesDeltasThenOneTerminalEvent) {
  EventQueue stream(3);
  stream.push("a");
  stream.push("b");
  EXPECT_TRUE(stream.finish({}));
  EXPECT_EQ(stream.next().text, "a");
  EXPECT_EQ(stream.next().text, "b");
  const Event last = stream.next();
  EXPECT_TRUE(last.finished);
  EXPECT_TRUE(last.summary.has_value());
  EXPECT_FALSE(last.error.has_value());
  EXPECT_EQ(stream.model_version(), 3);
}

TEST(EventQueueTest, ADeadlineEndsItWhateverTheSchedulerDoes) {
  EventQueue queue(1, {}, std::chrono::steady_clock::now());
  queue.push("in time");
  EXPECT_EQ(queue.next().text, "in time");
  const Event end = queue.next();
  ASSERT_TRUE(end.finished && end.error);
  EXPECT_EQ(end.error->code(), Code::kDeadlineExceeded);
  EXPECT_FALSE(queue.finish({})) << "one terminal event";
}

TEST(EventQueueTest, IgnoresWhateverComesAfterTheEnd) {
  EventQueue stream(1);
  EXPECT_TRUE(stream.fail(Error(Code::kInternal, "first")));
  EXPECT_FALSE(stream.fail(Error(Code::kInternal, "second")));
  EXPECT_FALSE(stream.finish({}));
  stream.push("late");
  EXPECT_STREQ(stream.next().error->what(), "first");
  EXPECT_FALSE(stream.next_for(0).has_value());
}

TEST(EventQueueTest, EmptyTextIsNoEvent) {
  EventQueue stream(1);
  stream.push("");
  EXPECT_FALSE(stream.next_for(0).has_value());
}

TEST(EventQueueTest, MergesWaitingDeltasOnlyIfAskedAndNeverTheEnd) {
  EventQueue stream(1);
  for (const char* text : {"a", "b", "c"}) stream.push(text);
  stream.finish({});
  EXPECT_EQ(stream.next(false).text, "a");
  const Event merged = stream.next(true);
  EXPECT_EQ(merged.text, "bc");
  EXPECT_FALSE(merged.finished);
  EXPECT_TRUE(stream.next(true).finished);
}

TEST(EventQueueTest, CancelIsOnlyAFlagUntilTheSchedulerSeesIt) {
  EventQueue stream(1);
  stream.cancel();
  stream.cancel();
  EXPECT_TRUE(stream.cancelled());
  EXPECT_FALSE(stream.next_for(0).has_value());
}

TEST(EventQueueTest, TellsOnceThatTheEndWasDelivered) {
  int delivered = 0;
  {
    EventQueue stream(1, [&] { ++delivered; });
    stream.finish({});
    EXPECT_EQ(delivered, 0);
    stream.next();
    EXPECT_EQ(delivered, 1);
  }
  EXPECT_EQ(delivered, 1);
}

TEST(EventQueueTest, AnAbandonedStreamCountsAsDelivered) {
  int delivered = 0;
  {
    EventQueue stream(1, [&] { ++delivered; });
  }
  EXPECT_EQ(delivered, 1);
}

TEST(EventQueueTest, WakesTheReaderOnAnotherThread) {
  EventQueue stream(1);
  std::string read;
  std::thread reader([&] {
    for (Event event = stream.next(); !event.finished; event = stream.next()) read += event.text;
  });
  for (int i = 0; i < 1000; ++i) stream.push("x");
  stream.finish({});
  reader.join();
  EXPECT_EQ(read.size(), 1000u);
}

}  // namespace
}  // namespace sf::server
