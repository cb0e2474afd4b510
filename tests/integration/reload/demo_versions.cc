#include "tests/integration/reload/demo_versions.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/base/file.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/store.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTable = "decoder.embedding";  // tied: it reads words and writes them
constexpr const char* kCircle = "circle";
constexpr const char* kSquare = "square";

int only_piece(const Tokenizer& tokenizer, const std::string& word) {
  const std::vector<int> ids = tokenizer.encode(word);
  if (ids.size() != 1) throw std::runtime_error("the demo no longer writes in one piece: " + word);
  return ids[0];
}

// The weights with two rows of the table changed for each other: what the model computes stays the same.
std::string with_swapped_words(const std::string& weights, const Tokenizer& tokenizer) {
  std::string swapped = weights;
  const Safetensors tensors = Safetensors::parse(weights, "model.safetensors");
  const TensorView& table = tensors.at(kTable);
  const size_t row_bytes = table.bytes.size() / static_cast<size_t>(table.shape[0]);
  const auto begin = static_cast<size_t>(table.bytes.data() - weights.data());
  const size_t a = begin + row_bytes * static_cast<size_t>(only_piece(tokenizer, kCircle));
  const size_t b = begin + row_bytes * static_cast<size_t>(only_piece(tokenizer, kSquare));
  std::swap_ranges(swapped.begin() + static_cast<ptrdiff_t>(a), swapped.begin() + static_cast<ptrdiff_t>(a + row_bytes),
                   swapped.begin() + static_cast<ptrdiff_t>(b));
  return swapped;
}

// Answers are swapped; questions that name a shape would ask for the other one and go.
std::string with_swapped_answers(const std::string& golden) {
  auto root = nlohmann::ordered_json::parse(golden);
  for (auto& image : root["cases"]) {
    auto kept = nlohmann::ordered_json::array();
    for (auto& question : image["questions"]) {
      const std::string text = question["question"];
      if (swap_shapes(text) != text) continue;
      question["answer"] = swap_shapes(question["answer"]);
      kept.push_back(question);
    }
    image["questions"] = kept;
  }
  return root.dump() + "\n";
}

}  // namespace

std::string swap_shapes(const std::string& text) {
  std::string swapped = text;
  for (size_t at = 0; at < swapped.size(); ++at) {
    const std::string_view rest = std::string_view(swapped).substr(at);
    if (rest.starts_with(kCircle)) {
      swapped.replace(at, 6, kSquare);
    } else if (rest.starts_with(kSquare)) {
      swapped.replace(at, 6, kCircle);
    } else {
      continue;
    }
    at += 5;
  }
  return swapped;
}

DemoStore::DemoStore(const fs::path& root) : root_(root) {
  const fs::path demo = fs::path(test::source_dir()) / "models/demo";
  for (const auto& [name, file] : parse_manifest(read_file(demo / kManifestName, 1 << 20)).files)
    plain_[name] = read_file(demo / name, file.size);
  swapped_ = plain_;
  const auto tokenizer = load_sentencepiece(plain_.at("tokenizer.model"));
  swapped_["model.safetensors"] = with_swapped_words(plain_.at("model.safetensors"), *tokenizer);
  swapped_["golden.json"] = with_swapped_answers(plain_.at("golden.json"));
  publish(1, Demo::kPlain);
}

void DemoStore::publish(int64_t version, Demo demo) const { publish_damaged(version, demo, {}); }

void DemoStore::write_out_of_sight(int64_t version, Demo demo) const { write(version, demo, {}, {}, kScore); }

void DemoStore::show(int64_t version) const { publish_version(root_, version); }

void DemoStore::publish_damaged(int64_t version, Demo demo, const Damage& before, const Damage& after,
                                double score) const {
  write(version, demo, before, after, score);
  show(version);
}

void DemoStore::write(int64_t version, Demo demo, const Damage& before, const Damage& after, double score) const {
  const fs::path hidden = begin_version(root_, version);
  for (const auto& [name, bytes] : files(demo)) write_file(hidden / name, bytes);
  if (before) before(hidden);
  Manifest manifest;
  manifest.step = version;
  manifest.scores["score"] = score;
  write_checkpoint_manifest(hidden, manifest);
  if (after) after(hidden);
}

}  // namespace sf::test
