#include "engine/model/config.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/preset_files.h"
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

// Each file of engine/model/presets is a whole config.json: it says every key, and what is read from it is what it
// says.
TEST(ModelConfigTest, EveryPresetIsItsFile) {
  std::vector<std::string_view> names;
  for (const PresetFile& preset : preset_files()) {
    names.push_back(preset.name);
    const ModelConfig config = model_preset(std::string(preset.name));
    EXPECT_EQ(config.preset, preset.name);
    EXPECT_EQ(to_json(config), preset.config_json);
  }
  EXPECT_EQ(names, (std::vector<std::string_view>{"toy", "tiny", "seed", "small", "base"}));
  try {
    model_preset("huge");
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown model preset huge; known: toy, tiny, seed, small, base");
  }
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
                        {"/decoder/norm", "batch", "decoder.norm"},
                        {"/decoder/positions", "alibi", "decoder.positions"},
                        {"/decoder/rope", "3d", "decoder.rope"},
                        {"/decoder/attention_scale", -1, "decoder.attention_scale"},
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
                        {"/image/std", {0.2, 0.2, 0}, "image.std"},
                        {"/image/mean", {0.5, 0.5}, "image.mean"},
                        {"/image/mean", {0.5, 0.5, 0.5, 0.5}, "image.mean"},
                        {"/image/resize", "tile", "image.resize"},
                        {"/image/crop_offset", "ceil", "image.crop_offset"},
                        {"/vision/position_embedding", "rope", "vision.position_embedding"},
                        {"/vision/activation", "selu", "vision.activation"},
                        {"/vision/features", "class", "vision.class_token"},
                        {"/projector", "cls", "vision.features class"},
                        {"/projector_hidden", -1, "projector_hidden"},
                        {"/projector", "magic", "projector"},
                        {"/prompt_template", "llava", "prompt_template"},
                        {"/model_type", "llava", "model_type llava"}};
  for (const Case& c : cases) expect_names(c.pointer, c.value, c.named);
}

// The words that stand in a file for the values of an enumeration; no other is taken for one of them.
TEST(ModelConfigTest, RefusesEveryWordThatIsUnknownByTheNameOfItsKey) {
  const Json tiny = tiny_json();
  int words = 0;
  for (const std::string& leaf : leaves(tiny)) {
    if (!tiny[Json::json_pointer(leaf)].is_string() || leaf == "/preset") continue;
    ++words;
    const std::string name = leaf == "/model_type" ? "model_type" : dotted(leaf) + " must be ";
    for (const char* word : {"no such word", "", "RMS", "position "}) expect_names(leaf, word, name);
  }
  EXPECT_EQ(words, 17);
  const auto message = [](const std::string& pointer, const char* word) { return refusal(changed(pointer, word)); };
  EXPECT_EQ(message("/decoder/norm", "batch"), "config.json: decoder.norm must be rms or layer, got batch");
  EXPECT_EQ(message("/decoder/moe/router_softmax", "never"),
            "config.json: decoder.moe.router_softmax must be before or after, got never");
  EXPECT_EQ(message("/decoder/moe/drop_order", "random"),
            "config.json: decoder.moe.drop_order must be position, choice, probability or batch_priority, got random");
  EXPECT_EQ(message("/vision/stem", "magic"), "config.json: vision.stem must be one of conv, patch, linear; got magic");
  EXPECT_EQ(message("/projector", "magic"),
            "config.json: projector must be one of shuffle2, mlp, cls, none; got magic");
}

template <ConfigEnum E>
void expect_distinct_words() {
  for (const auto& [value, word] : config_choices(E{})) {
    EXPECT_EQ(config_word(value), word);
    EXPECT_EQ(config_value<E>(word), value) << word;
  }
}

TEST(ModelConfigTest, EveryValueOfASwitchHasAWordOfItsOwn) {
  expect_distinct_words<StemKind>();
  expect_distinct_words<PositionEmbedding>();
  expect_distinct_words<VisionActivation>();
  expect_distinct_words<VisionFeatures>();
  expect_distinct_words<ExpertActivation>();
  expect_distinct_words<RouterSoftmax>();
  expect_distinct_words<DropOrder>();
  expect_distinct_words<ExpertDropout>();
  expect_distinct_words<PositionKind>();
  expect_distinct_words<RopeKind>();
  expect_distinct_words<NormKind>();
  expect_distinct_words<ImageResize>();
  expect_distinct_words<ImageResample>();
  expect_distinct_words<ImageCropOffset>();
  expect_distinct_words<ProjectorKind>();
  expect_distinct_words<Dtype>();
  EXPECT_EQ(config_value<DropOrder>("random"), std::nullopt);
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
    if (leaf == "/decoder/dense_hidden") continue;       // 0 where no layer is dense
    // 2^32 + 1 would be 1, and 2^64 - 1 would be -1, if they were cut to 32 bits.
    if (leaf != "/projector_hidden") expect_names(leaf, 0, dotted(leaf));  // where 0 says: twice the decoder's width
    for (const Json& value : {Json(-1), Json(1.5), Json(4294967297), Json(18446744073709551615ull), Json(1e300)}) {
      expect_names(leaf, value, dotted(leaf));
    }
  }
  EXPECT_EQ(sizes, 27);
}

TEST(ModelConfigTest, DenseLayersAreThereOnceAndHaveAWidth) {
  const auto with = [](const Json& layers, const Json& hidden) {
    Json json = tiny_json();
    json["decoder"].update({{"dense_layers", layers}, {"dense_hidden", hidden}});
    return json.dump();
  };
  const DecoderConfig mixed = parse_model_config(with({2, 0}, 64)).decoder;  // of three layers
  EXPECT_TRUE(is_dense(mixed, 0) && is_dense(mixed, 2) && !is_dense(mixed, 1));
  EXPECT_EQ(routed_layers(mixed), std::vector<int>{1});
  EXPECT_EQ(routed_layers(parse_model_config(with({0, 1, 2}, 64)).decoder), std::vector<int>{});
  struct Case {
    Json layers, hidden;
    const char* named;
  };
  const Case cases[] = {{Json::array({3}), 64, "dense_layers must be 0..2, got 3"},
                        {Json::array({-1}), 64, "dense_layers must be 0..2, got -1"},
                        {{1, 1}, 64, "dense_layers names layer 1 twice"},
                        {{0, 1, 2, 0}, 64, "dense_layers names 4 layers of 3"},
                        {Json::array({1}), 0, "belong together"},
                        {Json::array(), 64, "belong together"},
                        {Json::array({1}), -1, "dense_hidden must be"},
                        {Json::array({1}), 1 << 21, "dense_hidden must be"},
                        {Json::array({1.5}), 64, "dense_layers has the wrong type"},
                        {Json::array({"1"}), 64, "dense_layers has the wrong type"},
                        {Json::array({Json::array()}), 64, "dense_layers has the wrong type"},
                        {Json::array({4294967297}), 64, "dense_layers has the wrong type"}};
  for (const Case& c : cases) {
    const std::string message = refusal(with(c.layers, c.hidden));
    EXPECT_NE(message.find(c.named), std::string::npos) << c.layers << ": " << message;
  }
}

TEST(ModelConfigTest, InjectedFeaturesNeedTheirLayersOnBothSides) {
  EXPECT_EQ(refusal(changed("/vision/deepstack_layers", {0, 2})), "accepted");
  expect_names("/vision/deepstack_layers", Json::array({3}), "deepstack_layers must be 0..2, got 3");
  expect_names("/vision/deepstack_layers", {1, 1}, "deepstack_layers names layer 1 twice");
  expect_names("/vision/deepstack_layers", {2, 0}, "deepstack_layers must ascend");
  expect_names("/vision/deepstack_layers", {0, "1"}, "deepstack_layers has the wrong type");
  Json json = tiny_json();
  json["vision"]["deepstack_layers"] = {0, 1};
  json["decoder"]["num_layers"] = 1;
  EXPECT_NE(refusal(json.dump()).find("decoder.num_layers is 1"), std::string::npos) << refusal(json.dump());
  json = tiny_json();
  json["vision"]["deepstack_layers"] = Json::array({0});
  json["projector"] = "none";
  EXPECT_NE(refusal(json.dump()).find("projector none"), std::string::npos) << refusal(json.dump());
}

TEST(ModelConfigTest, OneNumberStandsForAllThreeChannels) {
  const ModelConfig config = parse_model_config(changed("/image/mean", 0.25));
  EXPECT_EQ(config.image.mean, (std::array<double, 3>{0.25, 0.25, 0.25}));
  const ModelConfig three = parse_model_config(changed("/image/std", {0.1, 0.2, 0.3}));
  EXPECT_EQ(three.image.std, (std::array<double, 3>{0.1, 0.2, 0.3}));
  EXPECT_EQ(parse_model_config(to_json(three)).image.std, three.image.std);
}

// A crop of 64 px in the toy's cells of 32 px.
Json crop_json() {
  Json json = tiny_json();
  json["image"].update({{"resize", "crop"}, {"resize_side", 71}, {"crop_side", 64}});
  return json;
}

TEST(ModelConfigTest, ACropIsAWholeNumberOfCellsAndFitsTheContext) {
  EXPECT_EQ(max_image_tokens(parse_model_config(crop_json().dump())), 4);
  for (const auto& [key, value, named] :
       {std::tuple{"crop_side", 72, "crop_side"}, {"crop_side", 48, "multiple"}, {"resize_side", 63, "resize_side"}}) {
    Json json = crop_json();
    json["image"][key] = value;
    EXPECT_NE(refusal(json.dump()).find(named), std::string::npos) << refusal(json.dump());
  }
  Json json = crop_json();
  json["image"].update({{"resize_side", 640}, {"crop_side", 640}});
  EXPECT_NE(refusal(json.dump()).find("vision.max_side"), std::string::npos);
  json["vision"]["max_side"] = 64;
  json["decoder"]["max_context"] = 400;
  EXPECT_NE(refusal(json.dump()).find("400 image tokens"), std::string::npos) << refusal(json.dump());
}

TEST(ModelConfigTest, ChangingTheProjectorKeepsTheImagesPixels) {
  ModelConfig config = model_preset("tiny");
  set_projector(config, ProjectorKind::kMlp);
  EXPECT_EQ(config.image.cell_size, 16);
  EXPECT_EQ(config.image.max_cells, 144);
  EXPECT_EQ(config.image.max_side_cells, 18);
  EXPECT_EQ(max_image_tokens(parse_model_config(to_json(config))), 144);
  set_projector(config, ProjectorKind::kCls);
  EXPECT_EQ(max_image_tokens(parse_model_config(to_json(config))), 1);
  config.vision.features = VisionFeatures::kAll;
  config.projector = ProjectorKind::kMlp;
  EXPECT_EQ(image_token_rule(config).count(3, 5), 16);
  set_projector(config, ProjectorKind::kShuffle2);
  EXPECT_NE(refusal(to_json(config)).find("shuffle2 needs"), std::string::npos);
  config.vision.features = VisionFeatures::kPatches;
  EXPECT_EQ(max_image_tokens(parse_model_config(to_json(config))), 36);
  EXPECT_THROW(parse_projector("resampler"), Error);
  EXPECT_THROW(parse_projector("none"), Error);  // no projector of a model that reads images
  EXPECT_EQ(parse_projector("mlp"), ProjectorKind::kMlp);
}

TEST(ModelConfigTest, AnEncoderAloneIsNoModelButItsPartCanBeTaken) {
  VisionModelConfig encoder;
  encoder.vision.class_token = true;
  encoder.image.cell_size = 16;
  const std::string text = to_json(encoder);
  EXPECT_NE(refusal(text).find("--vit-init"), std::string::npos);
  EXPECT_TRUE(parse_vision_config(text).vision.class_token);
  EXPECT_EQ(to_json(parse_vision_config(text)), text);
  EXPECT_EQ(parse_vision_config(to_json(model_preset("tiny"))).image.cell_size,
            16);  // an encoder's cells are its tokens
  EXPECT_THROW(parse_vision_config("{\"model_type\": \"sparsefusion-vision\", \"image\": {}}"), Error);
}

TEST(ModelConfigTest, ADtypeIsWrittenWhereItIsNotF32AndOnlyF32IsBuilt) {
  EXPECT_EQ(to_json(parse_model_config(changed("/dtype", "f32"))), to_json(model_preset("tiny")));
  for (const char* word : {"bf16", "f16"}) {
    const ModelConfig config = parse_model_config(changed("/dtype", word));
    EXPECT_EQ(Json::parse(to_json(config)).at("dtype"), word);
    EXPECT_EQ(parse_model_config(to_json(config)).dtype, config.dtype);
    try {
      Vlm vlm(config);
      ADD_FAILURE() << word << " was built";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_EQ(error.what(), concat("config.json: dtype ", word, " is not supported yet; supported: f32"));
    }
  }
  EXPECT_EQ(refusal(changed("/dtype", "F32")), "config.json: dtype must be one of f32, bf16, f16; got F32");
  expect_names("/dtype", 32, "dtype has the wrong type");
}

TEST(ModelConfigTest, ThePreprocessorsFileHasTheSameWords) {
  ImageConfig image;
  image.resample = ImageResample::kBilinear;
  EXPECT_EQ(Json::parse(preprocessor_json(image)).at("resample"), "bilinear");
  image.resize = ImageResize::kCrop;
  image.crop_offset = ImageCropOffset::kFloor;
  EXPECT_EQ(Json::parse(preprocessor_json(image)).at("crop_offset"), "floor");
}

TEST(ModelConfigTest, RefusesWhatIsNoObject) {
  for (const char* text : {"", "[1]", "{", "null", "7", "{} {}", "{\"model_type\": 1e999}", "{\"a\": \"\xff\"}"}) {
    EXPECT_NE(refusal(text), "accepted") << text;
  }
  EXPECT_NE(refusal(std::string(200'000, '[')), "accepted");
}

}  // namespace
}  // namespace sf
