#include "engine/model/config.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/vlm.h"

namespace sf {
namespace {

using Json = nlohmann::json;

Json tiny_json() { return Json::parse(to_json(model_preset("tiny"))); }

std::string changed(const std::string& pointer, const Json& value) {
  Json json = tiny_json();
  json[Json::json_pointer(pointer)] = value;
  return json.dump();
}

std::string refusal(const std::string& text) {
  try {
    parse_model_config(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.field(), "config.json");
    return error.what();
  }
  return "accepted";
}

void expect_names(const std::string& pointer, const Json& value, const std::string& named) {
  const std::string message = refusal(changed(pointer, value));
  EXPECT_NE(message.find(named), std::string::npos) << pointer << " = " << value << ": " << message;
}

// "/decoder/moe/top_k" -> "decoder.moe.top_k".
std::string dotted(const std::string& pointer) {
  std::string name = pointer.substr(1);
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

// The pointers of everything in the configuration that is neither an object nor inside an array.
std::vector<std::string> leaves(const Json& json, const std::string& prefix = "") {
  std::vector<std::string> out;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object()) {
      out.push_back(prefix + "/" + key);
      continue;
    }
    for (const std::string& leaf : leaves(value, prefix + "/" + key)) out.push_back(leaf);
  }
  return out;
}

TEST(ModelConfigTest, RoundTrips) {
  for (const char* preset : {"toy", "tiny", "small", "base"}) {
    const std::string text = to_json(model_preset(preset));
    EXPECT_EQ(to_json(parse_model_config(text)), text);
  }
  EXPECT_THROW(model_preset("huge"), Error);
}

TEST(ModelConfigTest, NamesTheKeyAtFault) {
  struct Case {
    const char* pointer;
    Json value;
    const char* named;
  };
  const Case cases[] = {{"/decoder/num_layers", 1 << 30, "decoder.num_layers"},
                        {"/decoder/num_kv_heads", 3, "decoder.num_kv_heads"},
                        {"/decoder/rope_fraction", 1.5, "decoder.rope_fraction"},
                        {"/decoder/rope_theta", 0, "decoder.rope_theta"},
                        {"/decoder/norm_eps", -1, "decoder.norm_eps"},
                        {"/decoder/moe/top_k", 9, "decoder.moe.top_k"},
                        {"/decoder/moe/top_k", 1, "top_k 1"},  // with a softmax over the one logit that is left
                        {"/decoder/moe/activation", "tanh", "activation"},
                        {"/decoder/moe/shared_hidden", -1, "shared_hidden"},
                        {"/decoder/moe/drop_order", "random", "drop_order"},
                        {"/decoder/moe/dropout", "input", "decoder.moe.dropout"},
                        {"/decoder/moe/dropout_rate", 1, "dropout_rate"},
                        {"/decoder/moe/router_softmax", "never", "router_softmax"},
                        {"/decoder/moe/capacity_factor", -1, "capacity_factor"},
                        {"/decoder/moe/noise_scale", -1, "noise_scale"},
                        {"/vision/num_heads", 5, "vision.width"},
                        {"/vision/stem", "magic", "vision.stem"},
                        {"/vision/stem_strides", {4, 2, 3}, "stem_strides"},
                        {"/vision/stem_strides", {4, 2}, "stem_strides"},
                        {"/vision/stem_strides", {4, 2.5, 2}, "stem_strides"},
                        {"/vision/stem_strides", Json::array({64, 64, 64, 64, 64, 64, 64, 64}), "stem_strides"},
                        {"/vision/stem_channels", {6, 48}, "stem_channels"},  // no multiple of the norm's groups
                        {"/image/cell_size", 31, "image.cell_size"},
                        {"/image/max_cells", 512, "image.max_cells"},
                        {"/image/max_side_cells", 10, "image.max_side_cells"},
                        {"/image/std", 0, "image.std"},
                        {"/projector", "magic", "projector"},
                        {"/prompt_template", "llava", "prompt_template"},
                        {"/model_type", "llava", "model_type llava"}};
  for (const Case& c : cases) expect_names(c.pointer, c.value, c.named);
}

TEST(ModelConfigTest, RefusesTopOneWhoseGateIsConstant) {
  Json json = tiny_json();
  Json& moe = json["decoder"]["moe"];
  moe["top_k"] = 1;
  moe["router_softmax"] = "before";
  EXPECT_EQ(refusal(json.dump()), "accepted");
  moe["renormalise"] = true;
  EXPECT_NE(refusal(json.dump()).find("top_k 1"), std::string::npos);
  moe["num_experts"] = 1;  // a dense feed-forward
  EXPECT_EQ(refusal(json.dump()), "accepted");
}

TEST(ModelConfigTest, AKeyThatIsMissingHasItsDefault) {
  const ModelConfig plain;
  const Json defaults = Json::parse(to_json(plain));
  for (const std::string& leaf : leaves(tiny_json())) {
    if (leaf == "/model_type") continue;
    const Json::json_pointer at(leaf);
    Json without = defaults;
    without[at.parent_pointer()].erase(at.back());
    EXPECT_EQ(Json::parse(to_json(parse_model_config(without.dump()))), defaults) << leaf;
  }
}

TEST(ModelConfigTest, RefusesEveryKeyThatIsUnknownOrOfAnotherType) {
  const Json tiny = tiny_json();
  for (const std::string& leaf : leaves(tiny)) {
    const Json::json_pointer at(leaf);
    expect_names(leaf + "x", 1, dotted(leaf) + "x is unknown");
    for (const Json& value : {Json(nullptr), Json(Json::object())}) expect_names(leaf, value, dotted(leaf));
    if (!tiny[at].is_string()) expect_names(leaf, "text", dotted(leaf));
    if (!tiny[at].is_boolean()) expect_names(leaf, true, dotted(leaf));
  }
  Json without_type = tiny;
  without_type.erase("model_type");
  EXPECT_NE(refusal(without_type.dump()).find("model_type is missing"), std::string::npos);
  for (const char* section : {"image", "vision", "decoder"}) {
    expect_names(std::string("/") + section, 7, section);
    Json without = tiny;
    without.erase(section);
    EXPECT_NE(refusal(without.dump()).find(section), std::string::npos);
  }
}

TEST(ModelConfigTest, RefusesEverySizeThatIsNoPositiveIntegerWithinReason) {
  const Json tiny = tiny_json();
  int sizes = 0;
  for (const std::string& leaf : leaves(tiny)) {
    if (!tiny[Json::json_pointer(leaf)].is_number_integer()) continue;
    ++sizes;
    if (leaf == "/decoder/moe/shared_hidden") continue;  // 0 = none
    // 2^32 + 1 would be 1, and 2^64 - 1 would be -1, if they were cut to 32 bits.
    for (const Json& value : {Json(-1), Json(0), Json(1.5), Json(4294967297), Json(18446744073709551615ull), Json(1e300)}) {
      expect_names(leaf, value, dotted(leaf));
    }
  }
  EXPECT_EQ(sizes, 20);
}

TEST(ModelConfigTest, RefusesWhatIsNoObject) {
  for (const char* text : {"", "[1]", "{", "null", "7", "{} {}", "{\"model_type\": 1e999}", "{\"a\": \"\xff\"}"}) {
    EXPECT_NE(refusal(text), "accepted") << text;
  }
  EXPECT_NE(refusal(std::string(200'000, '[')), "accepted");
}

TEST(ModelConfigTest, CountsTheWeightsWithoutAllocatingThem) {
  std::vector<ModelConfig> configs = {model_preset("toy"), model_preset("tiny"), model_preset("small")};
  ModelConfig other = model_preset("toy");
  other.vision.stem = "patch";
  other.vision.relative_bias = other.vision.coordinates = false;
  other.projector = "mlp";
  other.modality_embedding = other.decoder.moe.noisy = false;
  other.decoder.num_kv_heads = 1;
  configs.push_back(other);
  other.decoder.moe.activation = "relu";
  other.decoder.moe.expert_bias = other.decoder.moe.router_bias = other.decoder.moe.bias_balancing = true;
  configs.push_back(other);
  other.decoder.moe.noisy = true;
  other.decoder.moe.activation = "swiglu";
  other.decoder.moe.shared_hidden = 24;
  configs.push_back(other);
  for (const ModelConfig& config : configs) {
    EXPECT_EQ(num_weights(config), static_cast<double>(Vlm(config).num_parameters())) << config.preset;
  }
}

}  // namespace
}  // namespace sf
