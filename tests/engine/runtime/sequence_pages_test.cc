// Pages that sequences share, against a model of what every slot must hold: each "computed" token writes a number that
// depends on everything before it, so a slot that is shared wrongly, copied short or overwritten shows.
#include "engine/runtime/sequence_pages.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/runtime/choice_trie.h"

namespace sf {
namespace {

constexpr int kStoredLayers = 2, kStoredExperts = 4, kStoredTopK = 2, kPageTokens = 16;

DecoderConfig small_decoder() {
  DecoderConfig config;
  config.num_layers = kStoredLayers;
  config.num_kv_heads = 1;
  config.head_dim = 2;
  config.moe.num_experts = kStoredExperts;
  config.moe.top_k = kStoredTopK;
  return config;
}

// An image of `image_tokens` tokens from `image_begin` on, known by `image`; 0 tokens = none.
struct StoredPrompt {
  std::vector<int> ids;
  int image_begin = 0, image_tokens = 0;
  uint8_t image = 0;
};

class SequencePagesTest : public testing::Test {
 protected:
  explicit SequencePagesTest(int num_pages = 12)
      : pages_({{.num_pages = num_pages, .page_size = kPageTokens}, true, "digest"}, small_decoder(), at::kCPU) {}

  static Sequence sequence_of(const StoredPrompt& prompt, const std::string& salt = "") {
    Sequence sequence;
    auto made = std::make_shared<EnginePrompt>();
    made->tokens.ids = prompt.ids;
    if (prompt.image_tokens > 0) {
      made->tokens.images.push_back({prompt.image_begin, prompt.image_tokens});
      made->image_digests.emplace_back().fill(prompt.image);
    }
    sequence.ids = prompt.ids;
    sequence.prompt = made;
    sequence.sampling.cache_salt = salt;
    sequence.shares_prefixes = true;
    sequence.window = CapacityWindow(kStoredLayers, kStoredExperts);
    return sequence;
  }

  // What token i must leave in the cache: a number made of all tokens up to it.
  static uint32_t mark(const Sequence& sequence, int i) {
    uint32_t hash = 2166136261u;
    const std::vector<PrefixToken> tokens = prefix_tokens(sequence, 0, i + 1);
    for (const PrefixToken& token : tokens) {
      hash = (hash ^ uint32_t(token.id + 1) ^ uint32_t(token.image_offset << 8) ^ uint32_t(token.image[0] << 16)) *
             16777619u;
    }
    return hash >> 9;  // exact as a float
  }

  int slot(const Sequence& sequence, int i) const {
    return sequence.pages[i / kPageTokens] * kPageTokens + i % kPageTokens;
  }

  // False where pages are short. Routing of a token is a function of its mark too.
  bool compute(Sequence& sequence, int end) {
    const int begin = sequence.computed;
    if (!pages_.extend(sequence, end)) return false;
    Batch batch;
    batch.parts.push_back({&sequence, begin, end - begin});
    batch.modality.resize(end - begin);
    std::vector<float> rows;
    for (int layer = 0; layer < kStoredLayers; ++layer) {
      for (int i = begin; i < end; ++i) {
        const uint32_t m = mark(sequence, i);
        pages_.cache().keys(layer)[slot(sequence, i)].fill_(double(m));
        pages_.cache().values(layer)[slot(sequence, i)].fill_(-double(m));
        rows.insert(rows.end(), {float(m % 4), float((m + 1 + layer) % 4), 0.75f, 0.25f, 0.0f});
      }
    }
    pages_.routing().record(batch, rows.data());
    sequence.computed = end;
    pages_.publish(sequence, begin);
    return true;
  }

  void expect_right(const Sequence& sequence) {
    for (int i = 0; i < sequence.computed; ++i) {
      const double m = mark(sequence, i);
      for (int layer = 0; layer < kStoredLayers; ++layer) {
        ASSERT_EQ(pages_.cache().keys(layer)[slot(sequence, i)][0][1].item<double>(), m) << "token " << i;
        ASSERT_EQ(pages_.cache().values(layer)[slot(sequence, i)][0][0].item<double>(), -m) << "token " << i;
        ASSERT_EQ(pages_.routing().ids(sequence, i)[layer * kStoredTopK], uint32_t(m) % 4) << "token " << i;
      }
    }
  }

  void expect_no_leak() {
    EXPECT_EQ(pages_.cache().free_pages(), pages_.cache().num_pages());
    Sequence all;  // takes what was kept for its content too
    EXPECT_TRUE(pages_.extend(all, pages_.cache().num_pages() * pages_.cache().page_size()));
    EXPECT_EQ(pages_.cache().idle_pages(), 0);
    pages_.release(all);
    EXPECT_EQ(pages_.cache().free_pages(), pages_.cache().num_pages());
  }

  SequencePages pages_;
};

std::vector<int> count_from(int first, int count) {
  std::vector<int> ids(count);
  for (int i = 0; i < count; ++i) ids[i] = first + i;
  return ids;
}

std::vector<int> joined(std::vector<int> first, const std::vector<int>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// What is tried behind a prompt is taken back again, in the same slots: whoever shared them would read other tokens.
TEST_F(SequencePagesTest, WhatChoicesTryIsNobodyElses) {
  const std::vector<int> prompt = count_from(0, 10), x = count_from(100, 30), y = count_from(200, 30);
  const auto trie = std::make_shared<const ChoiceTrie>(
      std::vector<std::string>{"x1", "x2", "y1", "y2"},
      std::vector<std::vector<int>>{joined(x, {1}), joined(x, {2}), joined(y, {1}), joined(y, {2})}, 999);
  ASSERT_EQ(trie->branches().size(), 3u);  // behind the prompt, x and y
  const std::vector<float> even = {-0.7f, -0.7f};
  Sequence chooser = sequence_of({prompt});
  chooser.cursor.emplace(trie);
  ASSERT_TRUE(compute(chooser, 10));
  chooser.cursor->score(even);
  chooser.ids = joined(prompt, chooser.cursor->node().path);
  ASSERT_TRUE(compute(chooser, 40));
  Sequence reader = sequence_of({joined(prompt, joined(x, {7}))});
  EXPECT_EQ(pages_.reuse(reader).tokens, 10);
  chooser.cursor->score(even);
  chooser.computed = 10 + chooser.cursor->common();
  chooser.ids = joined(prompt, chooser.cursor->node().path);
  ASSERT_TRUE(compute(chooser, 40));
  ASSERT_TRUE(compute(reader, 41));
  expect_right(chooser);
  expect_right(reader);
  for (const bool released : {false, true}) {
    if (released) pages_.release(chooser);
    Sequence other = sequence_of({joined(prompt, joined(y, {7}))});
    EXPECT_EQ(pages_.reuse(other).tokens, 10) << released;
    ASSERT_TRUE(pages_.extend(other, 11));
    pages_.release(other);
  }
  pages_.release(reader);
  expect_no_leak();
}

TEST_F(SequencePagesTest, AMatchIsExactToTheTokenAndLeavesTheLastOne) {
  Sequence first = sequence_of({count_from(0, 40)});
  EXPECT_EQ(pages_.reuse(first).tokens, 0);
  ASSERT_TRUE(compute(first, 40));
  for (int same : {0, 1, 15, 16, 17, 32, 37, 39, 40}) {
    std::vector<int> ids = count_from(0, 40);
    for (int i = same; i < 40; ++i) ids[i] += 100;
    Sequence second = sequence_of({ids});
    EXPECT_EQ(pages_.reuse(second).tokens, std::min(same, 39));  // the last token's logits are wanted
    EXPECT_EQ(second.computed, std::min(same, 39));
    expect_right(second);
    ASSERT_TRUE(compute(second, 40));
    expect_right(second);
    expect_right(first);  // what is shared was not written to
    pages_.release(second);
  }
  pages_.release(first);
  expect_no_leak();
}

TEST_F(SequencePagesTest, AMatchNeverEndsInsideAImage) {
  std::vector<int> ids(42, 7);
  ids[0] = ids[1] = 1;
  const StoredPrompt prompt{ids, 2, 30, 9};  // the image is [2, 32), then text
  Sequence first = sequence_of(prompt);
  ASSERT_TRUE(compute(first, 20));  // not the whole image yet
  Sequence early = sequence_of(prompt);
  PrefixHit hit = pages_.reuse(early);
  EXPECT_EQ(hit.tokens, 2);
  EXPECT_EQ(hit.images, 0);
  pages_.release(early);
  ASSERT_TRUE(compute(first, 42));
  StoredPrompt other = prompt;
  other.ids[35] = 8;
  Sequence second = sequence_of(other);
  hit = pages_.reuse(second);
  EXPECT_EQ(hit.tokens, 35);
  EXPECT_EQ(hit.images, 1);
  expect_right(second);
  pages_.release(second);
  other.image = 10;  // the same ids, another image
  Sequence third = sequence_of(other);
  EXPECT_EQ(pages_.reuse(third).tokens, 2);
  pages_.release(third);
  pages_.release(first);
  expect_no_leak();
}

TEST_F(SequencePagesTest, AImageAtTheEndIsComputedWhole) {
  const StoredPrompt prompt{std::vector<int>(20, 7), 0, 20, 1};
  Sequence first = sequence_of(prompt);
  ASSERT_TRUE(compute(first, 20));
  Sequence second = sequence_of(prompt);
  EXPECT_EQ(pages_.reuse(second).tokens, 0);  // 19 would be inside it
  pages_.release(first);
  expect_no_leak();
}

TEST_F(SequencePagesTest, AnotherSaltSeesNothing) {
  Sequence first = sequence_of({count_from(0, 40)}, "tenant a");
  ASSERT_TRUE(compute(first, 40));
  pages_.release(first);
  for (const std::string salt : {"tenant b", ""}) {
    Sequence second = sequence_of({count_from(0, 40)}, salt);
    EXPECT_EQ(pages_.reuse(second).tokens, 0);
  }
  Sequence third = sequence_of({count_from(0, 40)}, "tenant a");
  EXPECT_EQ(pages_.reuse(third).tokens, 39);
  pages_.release(third);
  expect_no_leak();
}

TEST_F(SequencePagesTest, PagesGoWhenTheyAreNeededTheLongestIdleFirst) {
  const auto prompt = [](int k) { return StoredPrompt{count_from(1000 * k, 64)}; };  // four pages each, twelve in all
  for (int k : {1, 2, 3}) {
    Sequence sequence = sequence_of(prompt(k));
    ASSERT_TRUE(compute(sequence, 64));
    pages_.release(sequence);
  }
  EXPECT_EQ(pages_.cache().free_pages(), 12);
  EXPECT_EQ(pages_.cache().idle_pages(), 12);
  Sequence touch = sequence_of(prompt(1));
  EXPECT_EQ(pages_.reuse(touch).tokens, 63);  // now the youngest, and its copied page took the end of 2
  pages_.release(touch);
  Sequence large = sequence_of({count_from(9000, 48)});
  ASSERT_TRUE(compute(large, 48));
  expect_right(large);
  Sequence one = sequence_of(prompt(1)), two = sequence_of(prompt(2));
  EXPECT_EQ(pages_.reuse(one).tokens, 63);
  EXPECT_EQ(pages_.reuse(two).tokens, 0);
  pages_.release(one);
  pages_.release(large);
  expect_no_leak();
}

TEST_F(SequencePagesTest, EqualPromptsKeepOneCopy) {
  for (int i = 0; i < 5; ++i) {
    Sequence sequence = sequence_of({count_from(0, 40)});
    pages_.reuse(sequence);
    ASSERT_TRUE(compute(sequence, 40));
    pages_.release(sequence);
  }
  EXPECT_EQ(pages_.cache().idle_pages(), 3);
}

TEST_F(SequencePagesTest, BrokenNumbersAreWithdrawn) {
  Sequence first = sequence_of({count_from(0, 40)});
  ASSERT_TRUE(compute(first, 40));
  pages_.withdraw(first);
  pages_.release(first);
  EXPECT_EQ(pages_.cache().idle_pages(), 0);
  Sequence second = sequence_of({count_from(0, 40)});
  EXPECT_EQ(pages_.reuse(second).tokens, 0);
  expect_no_leak();
}

TEST_F(SequencePagesTest, CachedTokensCountAsIfComputed) {
  Sequence cold = sequence_of({count_from(0, 60)}), warm = cold;
  ASSERT_TRUE(compute(cold, 60));
  const RequestCounts all = pages_.routing().recount(cold, 60, 10);
  EXPECT_EQ(all.assigned, 60u * kStoredLayers * kStoredTopK);
  ASSERT_GT(all.overflow, 0u);
  const PrefixHit hit = pages_.reuse(warm);
  const RequestCounts cached = pages_.routing().recount(warm, hit.tokens, 10);
  EXPECT_EQ(cached.assigned, 59u * kStoredLayers * kStoredTopK);
  warm.counted = hit.tokens;
  ASSERT_TRUE(compute(warm, 60));
  const RequestCounts last = pages_.routing().recount(warm, 60, 10);
  EXPECT_EQ(cached.overflow + last.overflow, all.overflow);
  EXPECT_EQ(warm.window.counts(), cold.window.counts());
  pages_.release(cold);
  pages_.release(warm);
}

TEST_F(SequencePagesTest, RandomLivesNeverMixUpASlotOrLoseAPage) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return int(random() % n); };
  std::map<int, Sequence> alive;
  int hits = 0, short_of_pages = 0;
  for (int op = 0, next = 0; op < 1500; ++op) {
    const int what = below(10);
    if (what < 3 || alive.empty()) {
      StoredPrompt prompt{{}, 0, 5 + 7 * below(3), uint8_t(1 + below(2))};
      prompt.ids.assign(prompt.image_tokens, 0);
      for (int i = 0, n = 1 + below(40); i < n; ++i) prompt.ids.push_back(1 + (below(12) == 0));
      Sequence& made = alive[next++] = sequence_of(prompt, below(5) == 0 ? "other" : "");
      hits += pages_.reuse(made).tokens > 0;
      expect_right(made);
      continue;
    }
    auto one = std::next(alive.begin(), below(int(alive.size())));
    Sequence& sequence = one->second;
    const int total = int(sequence.ids.size());
    if (what < 7) {
      if (sequence.computed == 0) pages_.reuse(sequence);
      if (sequence.computed == total) sequence.ids.push_back(1 + (below(12) == 0));
      const int left = int(sequence.ids.size()) - sequence.computed;
      short_of_pages += !compute(sequence, sequence.computed + 1 + below(left));
    } else if (what == 7) {
      pages_.release(sequence);  // a preemption
    } else {
      expect_right(sequence);
      pages_.release(sequence);
      alive.erase(one);
    }
    for (const auto& [id, other] : alive) expect_right(other);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(hits, 50);
  EXPECT_GT(short_of_pages, 5);  // so pages were evicted, too
  for (auto& [id, sequence] : alive) pages_.release(sequence);
  expect_no_leak();
}

}  // namespace
}  // namespace sf
