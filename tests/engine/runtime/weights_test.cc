#include "engine/runtime/weights.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf {
namespace {

using Tensors = torch::OrderedDict<std::string, at::Tensor>;

Tensors tensors_of(const std::vector<std::pair<std::string, at::Tensor>>& items) {
  Tensors tensors;
  for (const auto& [name, tensor] : items) tensors.insert(name, tensor);
  return tensors;
}

// The tensor that load_tensors names, or its message where it names none.
std::string named_by(const std::string& bytes, const Tensors& parameters, const std::string& reason) {
  try {
    load_tensors(bytes, "weights.file", parameters);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("weights.file"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    return error.field();
  }
  return "accepted";
}

TEST(WeightsTest, RoundTripsFloatsAndIntegersOfAnyShapeAndLayout) {
  torch::manual_seed(1);
  const Tensors from = tensors_of({{"scalar", torch::tensor(2.5f)},
                                   {"turned", torch::randn({3, 5}).t()},
                                   {"step", torch::tensor({int64_t{1} << 40})},
                                   {"empty", torch::zeros({0, 4})},
                                   {"odd", torch::tensor({std::numeric_limits<float>::infinity(), -0.0f})}});
  Tensors to;
  for (const auto& item : from) to.insert(item.key(), at::full(item.value().sizes(), 7, item.value().options()));
  load_tensors(serialize_tensors(from), "weights.file", to);
  for (const auto& item : from) EXPECT_TRUE(to[item.key()].equal(item.value())) << item.key();
}

TEST(WeightsTest, NamesTheTensorAtFault) {
  const at::Tensor two = torch::ones({2}), three = torch::ones({3}), whole = torch::ones({2}, at::kLong);
  const Tensors model = tensors_of({{"a", two}, {"b.weight", torch::zeros({2})}});
  auto file = [](const std::vector<std::pair<std::string, at::Tensor>>& items) {
    return serialize_tensors(tensors_of(items));
  };
  EXPECT_EQ(named_by(file({{"a", two}}), model, "is missing"), "b.weight");
  EXPECT_EQ(named_by(file({{"a", two}, {"b.weight", three}}), model, "another shape"), "b.weight");
  EXPECT_EQ(named_by(file({{"a", two}, {"b.weight", two.view({1, 2})}}), model, "another shape"), "b.weight");
  EXPECT_EQ(named_by(file({{"a", two}, {"b.weight", whole}}), model, "another dtype"), "b.weight");
  EXPECT_EQ(named_by(file({{"a", two}, {"b.weight", two}, {"c", two}}), model, "does not belong"), "c");
  EXPECT_THROW(serialize_tensors(tensors_of({{"half", two.to(at::kHalf)}})), Error);
}

TEST(WeightsTest, HalfPrecisionBecomesFloatAndNothingElseDoes) {
  const at::Tensor values = torch::tensor({1.5f, -0.25f});
  for (const auto& [dtype, type] : {std::pair(Dtype::kF16, at::kHalf), std::pair(Dtype::kBF16, at::kBFloat16)}) {
    const at::Tensor half = values.to(type);
    const std::string raw(static_cast<const char*>(half.const_data_ptr()), half.nbytes());
    const std::string bytes = write_safetensors({{"a", {dtype, {2}, raw}}});
    const Tensors model = tensors_of({{"a", torch::ones({2})}});
    load_tensors(bytes, "weights.file", model);
    EXPECT_TRUE(model["a"].equal(values));
    EXPECT_EQ(named_by(bytes, tensors_of({{"a", torch::ones({2}, at::kLong)}}), "another dtype"), "a");
  }
  const std::string raw(16, '\0');
  EXPECT_EQ(named_by(write_safetensors({{"a", {Dtype::kF64, {2}, raw}}}), tensors_of({{"a", torch::ones({2})}}),
                     "another dtype"),
            "a");
}

TEST(WeightsTest, RefusesAFileThatIsCut) {
  const Tensors model = tensors_of({{"a", torch::ones({64})}});
  const std::string bytes = serialize_tensors(model);
  for (size_t size = 0; size < bytes.size(); size += 7)
    EXPECT_NE(named_by(bytes.substr(0, size), model, ""), "accepted") << size;
  EXPECT_TRUE(model["a"].equal(torch::ones({64})));
}

}  // namespace
}  // namespace sf
