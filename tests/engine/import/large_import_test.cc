// Over 2 GB in four shards through the whole streaming path. Long: only with SF_LONG_TESTS set; takes 7 GB of disk
// below $SF_LONG_FOLDER (or the temporary folder) and a minute or two.
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/checkpoint/safetensors_writer.h"
#include "engine/checkpoint/sharded_tensors.h"
#include "engine/import/hf_model.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWidth = 2048, kHidden = 7168, kLayers = 3, kExperts = 8, kVocab = 32000, kShards = 4;

int64_t peak_rss_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

std::map<std::string, TensorLayout> mixtral_tensors() {
  std::map<std::string, TensorLayout> tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    tensors[name] = {Dtype::kBF16, std::move(shape)};
  };
  add("model.embed_tokens.weight", {kVocab, kWidth});
  add("lm_head.weight", {kVocab, kWidth});
  add("model.norm.weight", {kWidth});
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(layer + norm + ".weight", {kWidth});
    for (const char* part : {"q_proj", "k_proj", "v_proj", "o_proj"})
      add(layer + "self_attn." + part + ".weight", {kWidth, kWidth});
    add(layer + "block_sparse_moe.gate.weight", {kExperts, kWidth});
    for (int64_t e = 0; e < kExperts; ++e) {
      const std::string expert = layer + "block_sparse_moe.experts." + std::to_string(e) + ".";
      add(expert + "w1.weight", {kHidden, kWidth});
      add(expert + "w3.weight", {kHidden, kWidth});
      add(expert + "w2.weight", {kWidth, kHidden});
    }
  }
  return tensors;
}

// Random bf16 of magnitude below 2, a MiB at a time.
void write_random(SafetensorsWriter& writer, const TensorLayout& layout, uint64_t& state) {
  auto left = static_cast<int64_t>(num_bytes(layout));
  std::string piece(1 << 20, '\0');
  for (; left > 0; left -= static_cast<int64_t>(piece.size())) {
    piece.resize(std::min<size_t>(piece.size(), static_cast<size_t>(left)));
    for (size_t i = 0; i + 1 < piece.size(); i += 2) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      piece[i] = static_cast<char>(state >> 40);
      piece[i + 1] = static_cast<char>(0x3c | (state >> 56 & 0x83));
    }
    writer.append(piece);
  }
}

int64_t write_shards(const fs::path& directory) {
  std::vector<std::map<std::string, TensorLayout>> shards(kShards);
  nlohmann::json weight_map;
  const auto file = [](int64_t s) { return "model-" + std::to_string(s) + ".safetensors"; };
  int64_t s = 0, total = 0;
  for (const auto& [name, layout] : mixtral_tensors()) {
    shards[static_cast<size_t>(s)][name] = layout;
    weight_map[name] = file(s);
    total += static_cast<int64_t>(num_bytes(layout));
    s = (s + 1) % kShards;
  }
  uint64_t state = 1;
  for (int64_t i = 0; i < kShards; ++i) {
    SafetensorsWriter writer(directory / file(i), shards[static_cast<size_t>(i)]);
    for (const std::string& name : writer.order()) write_random(writer, shards[static_cast<size_t>(i)].at(name), state);
    writer.finish();
  }
  write_file(directory / "model.safetensors.index.json", nlohmann::json{{"weight_map", weight_map}}.dump());
  write_file(directory / "config.json", nlohmann::json{{"architectures", {"MixtralForCausalLM"}},
                                                       {"model_type", "mixtral"},
                                                       {"vocab_size", kVocab},
                                                       {"hidden_size", kWidth},
                                                       {"intermediate_size", kHidden},
                                                       {"num_hidden_layers", kLayers},
                                                       {"num_attention_heads", 16},
                                                       {"num_key_value_heads", 16},
                                                       {"num_local_experts", kExperts},
                                                       {"max_position_embeddings", 1024}}
                                            .dump());
  return total;
}

TEST(LargeImportTest, PeakMemoryIsFarBelowTheModel) {
  if (!std::getenv("SF_LONG_TESTS")) GTEST_SKIP() << "SF_LONG_TESTS is not set";
  const char* below = std::getenv("SF_LONG_FOLDER");
  std::string pattern = ((below ? fs::path(below) : fs::temp_directory_path()) / "sparsefusion-large-XXXXXX").string();
  const fs::path folder = ::mkdtemp(pattern.data());
  fs::create_directories(folder / "hf");
  const int64_t total = write_shards(folder / "hf");
  EXPECT_GE(total, int64_t{2} << 30);
  const HfConfig hf = read_hf_config(folder / "hf");
  const ShardedTensors source(folder / "hf");
  const HfImport import = plan_hf_import(hf, source, "");
  check_plan(import.plan, source);
  const ManifestFile written =
      write_planned(import.plan, source, folder / "model.safetensors", {.dtype = Dtype::kBF16});
  EXPECT_GT(written.size, total);
  EXPECT_EQ(describe_file(folder / "model.safetensors"), written);
  const int64_t largest = kVocab * kWidth * 2;
  std::cout << "model " << (total >> 20) << " MiB in " << kShards << " shards, largest tensor " << (largest >> 20)
            << " MiB, peak RSS " << (peak_rss_bytes() >> 20) << " MiB\n";
  EXPECT_LE(peak_rss_bytes(), largest + (int64_t{256} << 20));
  if (!std::getenv("SF_LONG_KEEP")) fs::remove_all(folder);
}

}  // namespace
}  // namespace sf
