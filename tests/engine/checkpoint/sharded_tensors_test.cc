#include "engine/checkpoint/sharded_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "engine/base/error.h"
#include "engine/checkpoint/convert_elements.h"
#include "engine/checkpoint/safetensors_writer.h"
#include "engine/checkpoint/sha256.h"
#include "tests/engine/checkpoint/float_tensors.h"

namespace sf {
namespace {

namespace fs = std::filesystem;
using fixtures::read_floats, fixtures::write_floats;
using testing::HasSubstr;

class ShardedTensorsTest : public testing::Test {
 protected:
  ShardedTensorsTest() {
    std::string pattern = (fs::temp_directory_path() / "sparsefusion-shards-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ShardedTensorsTest() override { fs::remove_all(folder_); }

  void write_index(const std::string& weight_map) {
    write_file(folder_ / "model.safetensors.index.json", R"({"weight_map":)" + weight_map + "}");
  }

  std::string refusal() {
    try {
      ShardedTensors{folder_};
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_;
};

TEST_F(ShardedTensorsTest, ReadsOneFileAndMany) {
  EXPECT_THAT(refusal(), HasSubstr("neither"));
  write_floats(folder_ / "model.safetensors", {{"a", {1, 2, 3}}});
  EXPECT_EQ(read_floats(ShardedTensors(folder_), "a"), (std::vector<float>{1, 2, 3}));
  write_floats(folder_ / "s1.safetensors", {{"a", {4}}, {"b", {5, 6}}});
  write_floats(folder_ / "s2.safetensors", {{"c", {7}}});
  write_index(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})");
  const ShardedTensors source(folder_);
  EXPECT_EQ(source.num_files(), 2);
  EXPECT_EQ(read_floats(source, "b"), (std::vector<float>{5, 6}));
  EXPECT_EQ(read_floats(source, "c"), (std::vector<float>{7}));
  float second = 0;
  source.read("b", 4, 4, reinterpret_cast<char*>(&second));
  EXPECT_EQ(second, 6);
  EXPECT_THROW(source.read("b", 4, 8, reinterpret_cast<char*>(&second)), Error);
}

TEST_F(ShardedTensorsTest, RefusesAnIndexThatLies) {
  write_floats(folder_ / "s1.safetensors", {{"a", {4}}, {"b", {5, 6}}});
  write_floats(folder_ / "s2.safetensors", {{"a", {7}}});
  for (const char* outside : {"../s1.safetensors", "/etc/passwd", "sub/s1.safetensors", "", ".hidden"}) {
    write_index(R"({"a":")" + std::string(outside) + "\"}");
    EXPECT_THAT(refusal(), HasSubstr("plain name in the same directory")) << outside;
  }
  write_index(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s3.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("shard s3.safetensors is missing"));
  write_index(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("'a' is in another shard too"));
  write_index(R"({"a":"s1.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("'b' is not listed"));
  write_index(R"({"a":"s1.safetensors","b":"s1.safetensors","z":"s1.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("'z' of model.safetensors.index.json is missing"));
  for (const char* map : {"{}", "[]", "7", R"({"a":7})"}) {
    write_index(map);
    EXPECT_THAT(refusal(), HasSubstr("model.safetensors.index.json")) << map;
  }
  fs::create_symlink(folder_ / "s2.safetensors", folder_ / "link.safetensors");
  write_index(R"({"a":"link.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("symbolic link"));
}

TEST_F(ShardedTensorsTest, RefusesATruncatedShard) {
  write_floats(folder_ / "model.safetensors", {{"a", {1, 2, 3}}});
  const std::string whole = read_file(folder_ / "model.safetensors", 1 << 20);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{20}, whole.size() - 1}) {
    write_file(folder_ / "model.safetensors", whole.substr(0, size));
    EXPECT_THAT(refusal(), HasSubstr("model.safetensors")) << size;
  }
}

TEST_F(ShardedTensorsTest, AWrittenFileIsTheOneThatIsWrittenAtOnce) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {7};
  const std::map<std::string, TensorView> views = {
      {"a", {Dtype::kF32, {2, 3}, {reinterpret_cast<const char*>(a.data()), 24}}},
      {"b", {Dtype::kF32, {}, {reinterpret_cast<const char*>(b.data()), 4}}}};
  SafetensorsWriter writer(folder_ / "w", {{"b", {Dtype::kF32, {}}}, {"a", {Dtype::kF32, {2, 3}}}}, {{"format", "pt"}});
  EXPECT_EQ(writer.order(), (std::vector<std::string>{"a", "b"}));
  writer.append(views.at("a").bytes.substr(0, 10));
  writer.append(views.at("a").bytes.substr(10));
  EXPECT_THROW(writer.finish(), Error);
  writer.append(views.at("b").bytes);
  EXPECT_THROW(writer.append("x"), Error);
  const ManifestFile written = writer.finish();
  const std::string expected = write_safetensors(views, {{"format", "pt"}});
  EXPECT_EQ(read_file(folder_ / "w", 1 << 20), expected);
  EXPECT_EQ(written, (ManifestFile{sha256_hex(expected), static_cast<int64_t>(expected.size())}));
  EXPECT_EQ(describe_file(folder_ / "w"), written);
}

TEST(ConvertElementsTest, HalvesAreExactAndBfloat16RoundsToEven) {
  const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x8000, 0x7e00};
  const std::vector<float> f16 = to_floats({reinterpret_cast<const char*>(halves), sizeof(halves)}, Dtype::kF16);
  const std::vector<float> expected = {1, -2, 0x1p-24f, 1023 * 0x1p-24f, 0x1p-14f, 65504, INFINITY, -INFINITY, 0};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(f16[i], expected[i]) << i;
  EXPECT_TRUE(std::signbit(f16[8]));
  EXPECT_TRUE(std::isnan(f16[9]));
  const auto rounded = [](float value) { return to_floats(from_floats({value}, Dtype::kBF16), Dtype::kBF16)[0]; };
  EXPECT_EQ(rounded(1.0f + 0x1p-8f), 1.0f);                // a tie goes to the even neighbour
  EXPECT_EQ(rounded(1.0f + 3 * 0x1p-8f), 1.0f + 0x1p-6f);  // upwards where that one is even
  EXPECT_EQ(rounded(1.0f + 0x1.8p-8f), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isnan(rounded(NAN)));
  EXPECT_EQ(rounded(-INFINITY), -INFINITY);
}

}  // namespace
}  // namespace sf
