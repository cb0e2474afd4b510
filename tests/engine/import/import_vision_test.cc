#include "engine/import/vision.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {
namespace {

using Json = nlohmann::json;
using Shapes = std::map<std::string, std::vector<int64_t>>;

// Names and shapes without a file.
class Named : public TensorSource {
 public:
  explicit Named(const Shapes& shapes, Dtype dtype = Dtype::kF32) {
    for (const auto& [name, shape] : shapes) tensors_[name] = {dtype, shape};
  }
  const std::map<std::string, TensorLayout>& tensors() const override { return tensors_; }
  void read(const std::string&, int64_t, int64_t, char*) const override { FAIL() << "nothing to read"; }

 private:
  std::map<std::string, TensorLayout> tensors_;
};

// timm's ViT of `layers` blocks, width w, patches of p pixels, a grid of g x g.
Shapes timm_shapes(int64_t layers, int64_t w, int64_t p, int64_t g) {
  Shapes shapes = {{"cls_token", {1, 1, w}},
                   {"pos_embed", {1, g * g + 1, w}},
                   {"patch_embed.proj.weight", {w, 3, p, p}},
                   {"patch_embed.proj.bias", {w}},
                   {"norm.weight", {w}},
                   {"norm.bias", {w}},
                   {"head.weight", {10, w}},
                   {"head.bias", {10}}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = concat("blocks.", i, ".");
    for (const char* vector :
         {"norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.proj.bias", "mlp.fc2.bias"})
      shapes[block + vector] = {w};
    shapes[block + "attn.qkv.weight"] = {3 * w, w};
    shapes[block + "attn.qkv.bias"] = {3 * w};
    shapes[block + "attn.proj.weight"] = {w, w};
    shapes[block + "mlp.fc1.weight"] = {4 * w, w};
    shapes[block + "mlp.fc1.bias"] = {4 * w};
    shapes[block + "mlp.fc2.weight"] = {w, 4 * w};
  }
  return shapes;
}

Shapes clip_shapes(int64_t layers, int64_t w, int64_t p, int64_t g, const std::string& tower = "vision_model.") {
  Shapes shapes = {{tower + "embeddings.class_embedding", {w}},
                   {tower + "embeddings.patch_embedding.weight", {w, 3, p, p}},
                   {tower + "embeddings.position_embedding.weight", {g * g + 1, w}},
                   {tower + "embeddings.position_ids", {1, g * g + 1}},
                   {tower + "pre_layrnorm.weight", {w}},
                   {tower + "pre_layrnorm.bias", {w}},
                   {tower + "post_layernorm.weight", {w}},
                   {tower + "post_layernorm.bias", {w}},
                   {"text_model.embeddings.token_embedding.weight", {9, 7}},
                   {"visual_projection.weight", {5, w}},
                   {"text_projection.weight", {5, 7}},
                   {"logit_scale", {}}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = concat(tower, "encoder.layers.", i, ".");
    for (const char* name : {"layer_norm1", "layer_norm2"})
      shapes[layer + name + ".weight"] = shapes[layer + name + ".bias"] = {w};
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      shapes[layer + "self_attn." + name + ".weight"] = {w, w};
      shapes[layer + "self_attn." + name + ".bias"] = {w};
    }
    shapes[layer + "mlp.fc1.weight"] = {4 * w, w};
    shapes[layer + "mlp.fc1.bias"] = {4 * w};
    shapes[layer + "mlp.fc2.weight"] = {w, 4 * w};
    shapes[layer + "mlp.fc2.bias"] = {w};
  }
  return shapes;
}

// The field that a refusal names.
template <typename Call>
std::string field_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.what();
    return error.field();
  }
  return "accepted";
}

TEST(ImportTimmTest, ReadsTheSizesOfVitSmallFromItsTensors) {
  const Named source(timm_shapes(12, 384, 16, 14));
  const VisionImport import = import_timm(source, {}, {});
  check_plan(import.plan, source);
  const Json config = Json::parse(import.config_json), vision = config["vision"], image = config["image"];
  EXPECT_EQ(vision["num_layers"], 12);
  EXPECT_EQ(vision["num_heads"], 6);
  EXPECT_EQ(vision["mlp_width"], 1536);
  EXPECT_EQ(vision["position_rows"], 14);
  EXPECT_EQ(vision["norm_eps"], 1e-6);
  EXPECT_EQ(image["resize_side"], 248);
  EXPECT_EQ(image["crop_side"], 224);
  EXPECT_EQ(image["mean"], (Json{0.5, 0.5, 0.5}));
}

TEST(ImportTimmTest, AnotherImageSizeKeepsTheTable) {
  const VisionImport import = import_timm(Named(timm_shapes(1, 64, 16, 14)), {.image_size = 96}, {});
  const Json config = Json::parse(import.config_json);
  EXPECT_EQ(config["image"]["crop_side"], 96);
  EXPECT_EQ(config["image"]["resize_side"], 106);  // floor(96 / 0.9)
  EXPECT_EQ(config["vision"]["position_rows"], 14);
}

TEST(ImportTimmTest, TakesWhatTheKinLeaveOutOrAdd) {
  Shapes shapes = timm_shapes(2, 64, 8, 4);
  for (const char* name : {"patch_embed.proj.bias", "cls_token", "blocks.0.attn.qkv.bias", "blocks.1.attn.qkv.bias"})
    shapes.erase(name);
  shapes["pos_embed"] = {1, 16, 64};
  for (const char* name : {"norm_pre.weight", "norm_pre.bias", "blocks.0.ls1.gamma", "blocks.0.ls2.gamma",
                           "blocks.1.ls1.gamma", "blocks.1.ls2.gamma"})
    shapes[name] = {64};
  const Named source(shapes);
  const VisionImport import = import_timm(source, {}, {});
  check_plan(import.plan, source);
  const Json vision = Json::parse(import.config_json)["vision"];
  EXPECT_EQ(vision["class_token"], false);
  EXPECT_EQ(vision["stem_bias"], false);
  EXPECT_EQ(vision["layer_scale"], true);
  EXPECT_EQ(vision["pre_norm"], true);
  EXPECT_EQ(vision["norm_eps"], 1e-5);
}

TEST(ImportTimmTest, HonoursTheConfigBesideTheFile) {
  VisionImportFiles files;
  files.config_json = R"({"architecture": "vit_base_patch16_clip_quickgelu_224",
                          "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop_pct": 1.0, "interpolation": "bicubic"}})";
  const Json config = Json::parse(import_timm(Named(timm_shapes(1, 64, 16, 14)), {}, files).config_json);
  EXPECT_EQ(config["image"]["resize_side"], 224);
  EXPECT_EQ(config["image"]["std"], (Json{0.4, 0.5, 0.6}));
  EXPECT_EQ(config["vision"]["activation"], "quick_gelu");
  const Named source(timm_shapes(1, 64, 16, 14));
  for (const char* text : {"[1]", "{", R"({"pretrained_cfg": {"interpolation": "bilinear"}})",
                           R"({"pretrained_cfg": {"crop_pct": 0}})", R"({"pretrained_cfg": 3})"}) {
    EXPECT_NE(field_of([&] { import_timm(source, {}, {.config_json = text, .preprocessor_json = {}}); }), "accepted")
        << text;
  }
  EXPECT_EQ(field_of([&] {
              import_timm(source, {}, {.config_json = R"({"pretrained_cfg": {"mean": [1]}})", .preprocessor_json = {}});
            }),
            "pretrained_cfg.mean");
}

TEST(ImportTimmTest, NamesTheTensorOrOptionAtFault) {
  auto without = [](const char* name) {
    Shapes shapes = timm_shapes(2, 64, 8, 4);
    shapes.erase(name);
    const Named source(shapes);
    return field_of([&] { check_plan(import_timm(source, {}, {}).plan, source); });
  };
  EXPECT_EQ(without("patch_embed.proj.weight"), "patch_embed.proj.weight");
  EXPECT_EQ(without("pos_embed"), "pos_embed");
  EXPECT_EQ(without("blocks.1.mlp.fc2.bias"), "blocks.1.mlp.fc2.bias");
  Shapes shapes = timm_shapes(2, 64, 8, 4);
  shapes["reg_token"] = {1, 4, 64};
  const Named registers(shapes);
  EXPECT_EQ(field_of([&] { check_plan(import_timm(registers, {}, {}).plan, registers); }), "reg_token");
  shapes = timm_shapes(2, 64, 8, 4);
  shapes["pos_embed"] = {1, 16, 64};  // 15 patches
  EXPECT_EQ(field_of([&] { import_timm(Named(shapes), {}, {}); }), "pos_embed");
  EXPECT_EQ(field_of([&] { import_timm(Named(timm_shapes(2, 96, 8, 4)), {}, {}); }), "heads");  // no multiple of 64
  EXPECT_EQ(field_of([&] { import_timm(Named(timm_shapes(2, 96, 8, 4)), {.num_heads = 5}, {}); }), "heads");
  EXPECT_EQ(field_of([&] { import_timm(Named(timm_shapes(2, 96, 8, 4)), {.num_heads = 3}, {}); }), "accepted");
  for (int layer : {1, -3, -100}) {
    EXPECT_EQ(field_of([&] { import_timm(Named(timm_shapes(2, 64, 8, 4)), {.feature_layer = layer}, {}); }),
              "feature-layer")
        << layer;
  }
  const Named whole(timm_shapes(1, 64, 8, 4), Dtype::kI64);
  EXPECT_NE(field_of([&] { check_plan(import_timm(whole, {}, {}).plan, whole); }), "accepted");
}

TEST(ImportClipTest, TakesTheVisionHalfAloneAndJoinsQueryKeyAndValue) {
  for (const char* tower : {"vision_model.", ""}) {
    const Named source(clip_shapes(3, 128, 16, 14, tower));
    const VisionImport import = import_clip(source, {.feature_layer = -2}, {});
    check_plan(import.plan, source);
    const Json config = Json::parse(import.config_json);
    EXPECT_EQ(config["vision"]["num_layers"], 2);
    EXPECT_EQ(config["vision"]["final_norm"], false);
    EXPECT_EQ(config["vision"]["num_heads"], 2);
    EXPECT_EQ(config["vision"]["activation"], "quick_gelu");
    EXPECT_EQ(config["image"]["resize_side"], 224);
    EXPECT_EQ(config["image"]["crop_offset"], "floor");
    bool joined = false;
    for (const ImportTensor& tensor : import.plan.tensors) {
      if (tensor.name != "vision.block1.qkv_weight") continue;
      joined = true;
      ASSERT_EQ(tensor.pieces.size(), 3u);
      EXPECT_EQ(tensor.pieces[0].source, std::string(tower) + "encoder.layers.1.self_attn.q_proj.weight");
      EXPECT_EQ(tensor.pieces[1].source, std::string(tower) + "encoder.layers.1.self_attn.k_proj.weight");
      EXPECT_EQ(tensor.pieces[2].source, std::string(tower) + "encoder.layers.1.self_attn.v_proj.weight");
    }
    EXPECT_TRUE(joined);
  }
}

TEST(ImportClipTest, HonoursTheFilesBesideIt) {
  const Named source(clip_shapes(2, 64, 14, 24));
  VisionImportFiles files;
  files.config_json = R"({"vision_config": {"num_attention_heads": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-6}})";
  files.preprocessor_json =
      R"({"size": {"shortest_edge": 340}, "crop_size": {"height": 336, "width": 336}, "image_mean": [0.1, 0.2, 0.3],
                                "image_std": [1, 1, 1], "resample": 3})";
  Json config = Json::parse(import_clip(source, {}, files).config_json);
  EXPECT_EQ(config["vision"]["num_heads"], 4);
  EXPECT_EQ(config["vision"]["activation"], "gelu");
  EXPECT_EQ(config["image"]["resize_side"], 340);
  EXPECT_EQ(config["image"]["crop_side"], 336);
  EXPECT_EQ(config["image"]["mean"], (Json{0.1, 0.2, 0.3}));
  files.preprocessor_json = R"({"size": 336, "crop_size": 336})";
  config = Json::parse(import_clip(source, {.image_size = 168}, files).config_json);
  EXPECT_EQ(config["image"]["resize_side"], 168);
  for (const char* text : {R"({"resample": 1})", R"({"do_center_crop": false})",
                           R"({"crop_size": {"height": 3, "width": 4}})", R"({"size": "x"})", "null"}) {
    EXPECT_NE(field_of([&] { import_clip(source, {}, {.config_json = {}, .preprocessor_json = text}); }), "accepted")
        << text;
  }
  EXPECT_EQ(
      field_of([&] { import_clip(source, {}, {.config_json = R"({"hidden_act": "relu"})", .preprocessor_json = {}}); }),
      "config.json");
}

TEST(ImportClipTest, NamesWhatIsNoClip) {
  EXPECT_EQ(field_of([] { import_clip(Named(timm_shapes(1, 64, 8, 4)), {}, {}); }),
            "vision_model.embeddings.patch_embedding.weight");
  Shapes shapes = clip_shapes(2, 64, 8, 4);
  shapes["vision_model.encoder.layers.0.self_attn.q_norm.weight"] = {64};
  const Named foreign(shapes);
  EXPECT_EQ(field_of([&] { check_plan(import_clip(foreign, {}, {}).plan, foreign); }),
            "vision_model.encoder.layers.0.self_attn.q_norm.weight");
}

}  // namespace
}  // namespace sf
