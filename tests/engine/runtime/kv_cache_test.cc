#include "engine/runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

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

TEST(KvCacheTest, KeepsTheTypeThatItIsGiven) {
  const KvCache cache({.num_pages = 2, .page_size = 16, .dtype = at::kBFloat16}, cache_config(), at::kCPU);
  EXPECT_EQ(cache.keys(0).scalar_type(), at::kBFloat16);
  EXPECT_EQ(cache.values(0).scalar_type(), at::kBFloat16);
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

TEST(KvCacheTest, AKeptPageStaysUntilItIsNeeded) {
  KvCache cache({.num_pages = 4}, cache_config(), at::kCPU);
  std::vector<int> evicted;
  cache.set_on_evict([&](int page) { evicted.push_back(page); });
  const std::vector<int> first = *cache.allocate(2), second = *cache.allocate(1);
  for (int page : {first[0], first[1], second[0]}) cache.keep(page);
  cache.release(first);
  cache.release(second);
  EXPECT_EQ(cache.free_pages(), 4);
  EXPECT_EQ(cache.idle_pages(), 3);
  EXPECT_TRUE(evicted.empty());
  cache.share(first[1]);  // in use again
  EXPECT_EQ(cache.free_pages(), 3);
  const auto two = cache.allocate(2);
  ASSERT_TRUE(two);
  EXPECT_EQ(evicted, (std::vector<int>{first[0]}));  // the longest idle; the free one went first
  EXPECT_FALSE(cache.allocate(2));
  cache.drop(second[0]);
  EXPECT_EQ(cache.idle_pages(), 0);
  EXPECT_EQ(cache.free_pages(), 1);
  cache.release(*two);
  cache.release({first[1]});
  EXPECT_EQ(cache.idle_pages(), 1);
  EXPECT_EQ(cache.free_pages(), 4);
}

TEST(KvCacheTest, APageIsFreeWhenItsLastUserGoes) {
  KvCache cache({.num_pages = 2}, cache_config(), at::kCPU);
  const std::vector<int> page = *cache.allocate(1);
  cache.share(page[0]);
  cache.release(page);
  EXPECT_EQ(cache.free_pages(), 1);
  cache.release(page);
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_THROW(cache.release(page), Error);
  EXPECT_THROW(cache.share(page[0]), Error);
}

TEST(KvCacheTest, EvictsTheEndOfAReleasedChainFirst) {
  KvCache cache({.num_pages = 3}, cache_config(), at::kCPU);
  const std::vector<int> chain = *cache.allocate(3);
  for (int page : chain) cache.keep(page);
  cache.release(chain);
  EXPECT_EQ(cache.allocate(1)->front(), chain[2]);
  EXPECT_EQ(cache.allocate(1)->front(), chain[1]);
}

TEST(KvCacheTest, CopiesTheFirstTokensOfAPage) {
  KvCache cache({.num_pages = 2, .page_size = 4}, cache_config(), at::kCPU);
  for (int layer : {0, 1}) {
    cache.keys(layer).slice(0, 0, 4).fill_(1 + layer);
    cache.values(layer).slice(0, 0, 4).fill_(10 + layer);
  }
  cache.copy_tokens(0, 1, 3);
  for (int layer : {0, 1}) {
    EXPECT_EQ(cache.keys(layer).slice(0, 4, 7).min().item<float>(), 1.0f + layer);
    EXPECT_EQ(cache.values(layer).slice(0, 4, 7).min().item<float>(), 10.0f + layer);
    EXPECT_EQ(cache.keys(layer)[7].abs().max().item<float>(), 0.0f);
  }
}

TEST(KvCacheTest, AlwaysHasRoomForOneWholeContext) {
  const DecoderConfig config = cache_config();
  EXPECT_EQ(KvCache::options_for(0, config).num_pages, 7);  // ceil(100 / 16)
  // 2 (keys, values) x 2 layers x 3 heads x 8 channels x 4 bytes x 16 tokens = 6144 bytes a page.
  EXPECT_EQ(KvCache::options_for(1, config).num_pages, (1 << 20) / 6144);
  EXPECT_LE(KvCache::options_for(int64_t{1} << 40, config).num_pages, 1 << 22);
}

Error refusal(int64_t mebibytes, const DecoderConfig& config, const MemoryLimit& memory) {
  try {
    KvCache::options_for(mebibytes, config, memory);
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "not refused");
}

TEST(KvCacheTest, MoreMemoryThanThereIsIsRefusedBeforeItIsTaken) {
  const DecoderConfig config = cache_config();
  const MemoryLimit memory{.total_bytes = int64_t{100} << 20, .free_bytes = int64_t{10} << 20};
  EXPECT_EQ(KvCache::options_for(10, config, memory).num_pages, (10 << 20) / 6144);
  const Error now = refusal(11, config, memory);
  EXPECT_EQ(now.code(), Code::kResourceExhausted) << "another time it may be there";
  EXPECT_EQ(now.field(), "kv-cache-mib");
  EXPECT_STREQ(now.what(),
               "kv-cache-mib: keys and values need 11 MiB (--kv-cache-mib 11, and at least the 100 tokens of "
               "--max-context at 384 bytes each), the limit is 10 MiB of memory that are free now");
  const Error never = refusal(101, config, memory);
  EXPECT_EQ(never.code(), Code::kFailedPrecondition);
  EXPECT_NE(std::string(never.what()).find("the limit is 100 MiB of memory"), std::string::npos);
  for (const int64_t mebibytes : {int64_t{1} << 43, int64_t{1} << 44, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(refusal(mebibytes, config, memory).code(), Code::kFailedPrecondition) << mebibytes;
  }
  EXPECT_EQ(KvCache::options_for(std::numeric_limits<int64_t>::min(), config, memory).num_pages, 7);
}

TEST(KvCacheTest, ALongContextOfAConfigAsksForMemoryToo) {
  const MemoryLimit memory{.total_bytes = int64_t{64} << 30, .free_bytes = int64_t{64} << 30};
  DecoderConfig config = cache_config();
  config.num_layers = 32;
  config.num_kv_heads = 32;
  config.head_dim = 128;
  config.max_context = 1 << 20;
  const Error error = refusal(64, config, memory);
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_NE(std::string(error.what()).find("1048576 tokens of --max-context at 1048576 bytes"), std::string::npos);
  // The largest that config.json may say: no product wraps round.
  config.num_layers = config.num_kv_heads = config.head_dim = 1024;
  EXPECT_EQ(refusal(64, config, memory).code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace sf
