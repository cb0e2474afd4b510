#include "engine/model/config.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {
namespace {

std::string changed(const std::string& pointer, const nlohmann::json& value) {
  nlohmann::json json = nlohmann::json::parse(to_json(model_preset("tiny")));
  json[nlohmann::json::json_pointer(pointer)] = value;
  return json.dump();
}

std::string refusal(const std::string& text) {
  try {
    parse_model_config(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "config.json");
    return error.what();
  }
  return "accepted";
}

TEST(ModelConfigTest, RoundTrips) {
  for (const char* preset : {"toy", "tiny", "small", "base"}) {
    const std::string text = to_json(model_preset(preset));
    EXPECT_EQ(to_json(parse_model_config(text)), text);
  }
  EXPECT_THROW(model_preset("huge"), Error);
}

TEST(ModelConfigTest, NamesTheKeyAtFault) {
  struct Case { const char* pointer; nlohmann::json value; const char* named; };
  const Case cases[] = {{"/decoder/width", -1, "decoder.width"},
                        {"/decoder/num_layers", 1 << 30, "decoder.num_layers"},
                        {"/decoder/num_kv_heads", 3, "decoder.num_kv_heads"},
                        {"/decoder/moe/top_k", 9, "decoder.moe.top_k"},
                        {"/decoder/moe/top_k", 1, "top_k 1"},
                        {"/decoder/moe/router_softmax", "never", "router_softmax"},
                        {"/vision/num_heads", 5, "vision.width"},
                        {"/vision/stem_strides", nlohmann::json::array({4, 2, 3}), "stem_strides"},
                        {"/image/cell_size", 31, "image.cell_size"},
                        {"/image/max_cells", 512, "image.max_cells"},
                        {"/projector", "magic", "projector"},
                        {"/model_type", "llava", "model_type llava"},
                        {"/decoder/width", "wide", "type"}};
  for (const Case& c : cases) EXPECT_NE(refusal(changed(c.pointer, c.value)).find(c.named), std::string::npos) << c.pointer;
}

TEST(ModelConfigTest, RefusesWhatIsNoObjectOrLacksAKey) {
  EXPECT_NE(refusal("[1]"), "accepted");
  EXPECT_NE(refusal("{"), "accepted");
  nlohmann::json json = nlohmann::json::parse(to_json(model_preset("tiny")));
  json["decoder"].erase("width");
  EXPECT_NE(refusal(json.dump()).find("width"), std::string::npos);
}

}  // namespace
}  // namespace sf
