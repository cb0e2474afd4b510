#include "server/kserve/infer_statistics.h"

#include <gtest/gtest.h>

namespace sf::server {
namespace {

TEST(InferStatisticsTest, AddsUpByName) {
  InferStatistics statistics;
  Summary summary;
  summary.timings = {.queue_ms = 0.5, .image_ms = 1.25, .prefill_ms = 2, .decode_ms = 3, .total_ms = 6.75};
  statistics.record_success("a", summary, 0.008);
  statistics.record_success("a", summary, 0.002);
  statistics.record_failure("a", 0.001);
  const InferCounts counts = statistics.of("a");
  EXPECT_EQ(counts.inferences, 2u);
  EXPECT_GT(counts.last_inference_ms, 1'700'000'000'000u);
  EXPECT_EQ(counts.success.count, 2u);
  EXPECT_EQ(counts.success.ns, 10'000'000u);
  EXPECT_EQ(counts.fail.count, 1u);
  EXPECT_EQ(counts.fail.ns, 1'000'000u);
  EXPECT_EQ(counts.queue.ns, 1'000'000u);
  EXPECT_EQ(counts.compute_input.ns, 2'500'000u);
  EXPECT_EQ(counts.compute_infer.ns, 10'000'000u);
  EXPECT_EQ(counts.compute_output.count, 2u);
  EXPECT_EQ(statistics.of("b").success.count, 0u);
  EXPECT_EQ(statistics.of("b").last_inference_ms, 0u);
}

TEST(InferStatisticsTest, ClocksThatRunBackwardsCountAsNothing) {
  InferStatistics statistics;
  statistics.record_failure("a", -1);
  EXPECT_EQ(statistics.of("a").fail.ns, 0u);
}

}  // namespace
}  // namespace sf::server
