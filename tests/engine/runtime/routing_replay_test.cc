// Routing that is recorded with an answer, and forced again.
#include "engine/runtime/routing_replay.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "engine/runtime/torch_engine.h"
#include "tests/engine/runtime/answers.h"

namespace sf {
namespace {

using test::ask;
using test::Outcome;

struct Recorded {
  Outcome answer;
  RoutingRecord routing;
  std::vector<uint32_t> histogram;  // [layers, experts], as the steps counted it
};

class RoutingReplayTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), 11);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::unique_ptr<Engine> engine(bool prefix_cache) {
    return make_torch_engine(open_checkpoint(folder_->path()),
                             {.threads = 1, .kv_cache_mib = 1, .prefix_cache = prefix_cache});
  }

  static Recorded answer(Engine& engine, const std::vector<Message>& messages, const SamplingParams& sampling = {}) {
    Recorded out;
    const SequenceId id = engine.admit(engine.prepare(messages), sampling);
    for (bool going = true; going;) {
      const StepResult step = engine.step({{{id, std::min(20, engine.tokens_to_compute(id))}}});
      going = out.answer.take(step.sequences[0]);
      out.histogram.resize(step.moe.tokens.size() / kNumModalities);
      for (size_t i = 0; i < step.moe.tokens.size(); ++i) out.histogram[i / kNumModalities] += step.moe.tokens[i];
    }
    out.routing = engine.routing_record(id);
    engine.release(id);
    return out;
  }

  static SamplingParams replay(RoutingRecord record) {
    return {.replay_routing = std::make_shared<const RoutingRecord>(std::move(record))};
  }

  // Other experts than the recorded ones, still different within a token.
  static RoutingRecord shifted(RoutingRecord record) {
    for (uint16_t& id : record.ids) id = (id + 1) % 4;
    return record;
  }

  static inline test::TempFolder* folder_ = nullptr;
};

TEST_F(RoutingReplayTest, TheRecordHoldsEveryComputedToken) {
  const auto cold = engine(false);
  const Recorded recorded = answer(*cold, ask(1, 1));
  const int tokens = cold->prepare(ask(1, 1))->num_tokens() + int(recorded.answer.tokens.size()) - 1;
  EXPECT_EQ(recorded.routing.num_tokens(), tokens);
  std::vector<uint32_t> histogram(recorded.histogram.size());
  for (size_t i = 0; i < recorded.routing.ids.size(); ++i) ++histogram[i / 2 % 2 * 4 + recorded.routing.ids[i]];
  EXPECT_EQ(histogram, recorded.histogram);
  for (size_t i = 0; i < recorded.routing.gates.size(); i += 2) {
    EXPECT_NEAR(recorded.routing.gates[i] + recorded.routing.gates[i + 1], 1.0, 1e-5);
  }
}

TEST_F(RoutingReplayTest, ReplayingItsOwnRecordGivesTheSameAnswer) {
  const auto cold = engine(false);
  for (int question : {0, 7, 18}) {
    const Recorded first = answer(*cold, ask(2, question)),
                   again = answer(*cold, ask(2, question), replay(first.routing));
    test::expect_same(again.answer, first.answer);
    EXPECT_EQ(again.routing.ids, first.routing.ids);
    for (size_t i = 0; i < first.routing.gates.size(); ++i)
      ASSERT_NEAR(again.routing.gates[i], first.routing.gates[i], 1e-6);
  }
}

TEST_F(RoutingReplayTest, OtherExpertsGiveOtherNumbers) {
  const auto cold = engine(false);
  const Recorded first = answer(*cold, ask(2, 7)), forced = answer(*cold, ask(2, 7), replay(shifted(first.routing)));
  EXPECT_GT(std::abs(forced.answer.logprobs[0] - first.answer.logprobs[0]), 1e-3);
  const RoutingRecord wanted = shifted(first.routing);
  for (size_t i = 0; i < std::min(wanted.ids.size(), forced.routing.ids.size()); ++i)
    ASSERT_EQ(forced.routing.ids[i], wanted.ids[i]);
  // A record of the first tokens only leaves the others to the router.
  RoutingRecord begin = first.routing;
  begin.ids.resize(4 * 5);
  test::expect_same(answer(*cold, ask(2, 7), replay(begin)).answer, first.answer);
}

TEST_F(RoutingReplayTest, ACachedPrefixHasItsRouting) {
  const auto cold = engine(false), warm = engine(true);
  answer(*warm, ask(3, 2));
  for (int question : {3, 2}) {
    const Recorded expected = answer(*cold, ask(3, question)), got = answer(*warm, ask(3, question));
    EXPECT_GE(got.answer.cached, 36u);
    EXPECT_EQ(got.routing.ids, expected.routing.ids);
    ASSERT_EQ(got.routing.gates.size(), expected.routing.gates.size());
    for (size_t i = 0; i < got.routing.gates.size(); ++i)
      ASSERT_NEAR(got.routing.gates[i], expected.routing.gates[i], 1e-4);
  }
}

TEST_F(RoutingReplayTest, AReplaySharesNothingWithOthers) {
  const auto cold = engine(false), warm = engine(true);
  const Recorded expected = answer(*cold, ask(4, 0));
  answer(*warm, ask(4, 0), replay(shifted(expected.routing)));
  const Recorded plain = answer(*warm, ask(4, 0));
  EXPECT_EQ(plain.answer.cached, 0u);
  test::expect_same(plain.answer, expected.answer);
  const Recorded replayed = answer(*warm, ask(4, 0), replay(expected.routing));
  EXPECT_EQ(replayed.answer.cached, 0u);  // what is cached was not computed under its record
  // Side by side in one step.
  const SequenceId forced = warm->admit(warm->prepare(ask(5, 1)), replay(shifted(expected.routing)));
  const SequenceId free = warm->admit(warm->prepare(ask(5, 1)), {});
  const StepResult both = warm->step({{{forced, 1000}, {free, 1000}}});
  const Recorded alone = answer(*cold, ask(5, 1));
  ASSERT_EQ(both.sequences[1].tokens.size(), 1u);
  EXPECT_EQ(both.sequences[1].tokens[0], alone.answer.tokens[0]);
  EXPECT_NEAR(both.sequences[1].logprobs[0], alone.answer.logprobs[0], test::kLogprobTolerance);
  EXPECT_GT(std::abs(both.sequences[0].logprobs[0] - alone.answer.logprobs[0]), 1e-3);
  warm->release(forced);
  warm->release(free);
}

TEST_F(RoutingReplayTest, RefusesARecordThatIsNotTheModels) {
  const auto cold = engine(false);
  const RoutingRecord right = answer(*cold, ask(1, 1)).routing;
  const std::pair<const char*, std::function<void(RoutingRecord&)>> cases[] = {
      {"layers", [](RoutingRecord& r) { r.num_layers = 3; }},
      {"top k", [](RoutingRecord& r) { r.top_k = 1; }},
      {"empty shape", [](RoutingRecord& r) { r.num_layers = r.top_k = 0; }},
      {"an expert that is not there", [](RoutingRecord& r) { r.ids[7] = 4; }},
      {"an expert twice", [](RoutingRecord& r) { r.ids[6] = r.ids[7]; }},
      {"half a token", [](RoutingRecord& r) { r.ids.pop_back(); }},
  };
  for (const auto& [what, change] : cases) {
    RoutingRecord record = right;
    change(record);
    try {
      cold->admit(cold->prepare(ask(1, 1)), replay(record));
      ADD_FAILURE() << what << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << what;
      EXPECT_EQ(error.field(), "routing") << what;
    }
  }
}

TEST(ForceExpertsTest, GatesAreTheModelsOwn) {
  torch::manual_seed(1);
  MoeConfig config;
  config.num_experts = 4;
  config.top_k = 2;
  for (const std::string order : {"after", "before", "renormalised"}) {
    config.router_softmax = order == "after" ? RouterSoftmax::kAfter : RouterSoftmax::kBefore;
    config.renormalise = order == "renormalised";
    Routing routing;
    routing.logits_TE = torch::randn({3, 4});
    routing.ids_TK = torch::tensor({{0, 1}, {2, 3}, {1, 0}}, at::kLong);
    routing.gates_TK = torch::zeros({3, 2});
    force_experts(torch::tensor({{3, 2}, {-1, -1}, {0, 3}}, at::kLong), config, routing);
    const at::Tensor expected = torch::tensor({{3, 2}, {2, 3}, {0, 3}}, at::kLong);
    EXPECT_TRUE(at::equal(routing.ids_TK, expected));
    for (int64_t t = 0; t < 3; ++t) {
      const at::Tensor e = routing.logits_TE[t].exp();
      const double a = e[expected[t][0].item<int64_t>()].item<double>(),
                   b = e[expected[t][1].item<int64_t>()].item<double>();
      const double total = order == "before" ? e.sum().item<double>() : a + b;
      EXPECT_NEAR(routing.gates_TK[t][0].item<double>(), a / total, 1e-6);
      EXPECT_NEAR(routing.gates_TK[t][1].item<double>(), b / total, 1e-6);
    }
  }
}

}  // namespace
}  // namespace sf
