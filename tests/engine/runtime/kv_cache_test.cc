#include "engine/runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/base/error.h"

namespace sf {
namespace {

DecoderConfig cache_config() {
  DecoderConfig config;
  config.num_layers = 2;
  config.num_kv_heads = 3;
  config.head_dim = 8;
  config.max_context = 100;
  return config;
}

TEST(KvCacheTest, HoldsOneTensorOfKeysAndOneOfValuesPerLayer) {
  const KvCache cache({.num_pages = 5, .page_size = 16}, cache_config(), at::kCPU);
  for (int layer : {0, 1}) {
    EXPECT_EQ(cache.keys(layer).sizes(), at::IntArrayRef({5 * 16, 3, 8}));
    EXPECT_EQ(cache.values(layer).sizes(), at::IntArrayRef({5 * 16, 3, 8}));
  }
  EXPECT_NE(cache.keys(0).data_ptr(), cache.keys(1).data_ptr());
}

TEST(KvCacheTest, RoundsTokensUpToPages) {
  const KvCache cache({.num_pages = 5, .page_size = 16}, cache_config(), at::kCPU);
  EXPECT_EQ(cache.pages_for(0), 0);
  EXPECT_EQ(cache.pages_for(1), 1);
  EXPECT_EQ(cache.pages_for(16), 1);
  EXPECT_EQ(cache.pages_for(17), 2);
}

TEST(KvCacheTest, GivesAllPagesOfACallOrNone) {
  KvCache cache({.num_pages = 5}, cache_config(), at::kCPU);
  const auto three = cache.allocate(3);
  ASSERT_TRUE(three);
  EXPECT_FALSE(cache.allocate(3));
  EXPECT_EQ(cache.free_pages(), 2);  // the call that failed took nothing
  EXPECT_TRUE(cache.allocate(0)->empty());
  const auto two = cache.allocate(2);
  ASSERT_TRUE(two);
  std::set<int> distinct(three->begin(), three->end());
  distinct.insert(two->begin(), two->end());
  EXPECT_EQ(distinct, (std::set<int>{0, 1, 2, 3, 4}));
  EXPECT_FALSE(cache.allocate(1));
}

TEST(KvCacheTest, TakesPagesBackOnce) {
  KvCache cache({.num_pages = 4}, cache_config(), at::kCPU);
  const auto first = cache.allocate(2), second = cache.allocate(2);
  cache.release(*first);
  EXPECT_EQ(cache.free_pages(), 2);
  const auto again = cache.allocate(2);
  EXPECT_EQ(std::set<int>(again->begin(), again->end()), std::set<int>(first->begin(), first->end()));
  cache.release(*again);
  cache.release(*second);
  EXPECT_EQ(cache.free_pages(), cache.num_pages());
  EXPECT_THROW(cache.release(*second), Error);
}

TEST(KvCacheTest, AlwaysHasRoomForOneWholeContext) {
  const DecoderConfig config = cache_config();
  EXPECT_EQ(KvCache::options_for(0, config).num_pages, 7);  // ceil(100 / 16)
  // 2 (keys, values) x 2 layers x 3 heads x 8 channels x 4 bytes x 16 tokens = 6144 bytes a page.
  EXPECT_EQ(KvCache::options_for(1, config).num_pages, (1 << 20) / 6144);
  EXPECT_LE(KvCache::options_for(int64_t{1} << 40, config).num_pages, 1 << 22);
}

}  // namespace
}  // namespace sf
