#include "engine/import/import_model.h"

#include <chrono>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/sharded_tensors.h"
#include "engine/import/hf_model.h"
#include "engine/import/seemore.h"
#include "engine/import/torch_file.h"
#include "engine/model/config.h"
#include "engine/model/parameter_shapes.h"
#include "engine/text/character_tokenizer.h"
#include "engine/text/tokenizer_config.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxTokenizerBytes = 64 << 20;
const std::string kWeightsName = "model.safetensors";

// A new directory that goes again unless it is kept.
class NewDirectory {
 public:
  explicit NewDirectory(fs::path path) : path_(std::move(path)) {
    if (fs::exists(path_)) throw Error(Code::kAlreadyExists, concat(path_.string(), " is there already"), "out");
    fs::create_directories(path_);
  }
  ~NewDirectory() {
    std::error_code ignored;
    if (!kept_) fs::remove_all(path_, ignored);
  }
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

struct ImportedFiles {
  std::string config_json;
  std::map<std::string, std::string> others;  // name -> bytes
};

// The plan names the parameters of such a model, each once and in its shape.
void check_covers(const ImportPlan& plan, const ModelConfig& config) {
  std::map<std::string, std::vector<int64_t>> planned;
  for (const ImportTensor& tensor : plan.tensors) planned[tensor.name] = tensor.shape;
  SF_CHECK(planned.size() == plan.tensors.size(), "import: the plan has a tensor twice");
  for (const ParameterShape& parameter : parameter_shapes(config)) {
    const auto found = planned.find(parameter.name);
    SF_CHECK(found != planned.end() && found->second == parameter.shape,
             "import: the plan has other weights than a model of its configuration: ", parameter.name);
    planned.erase(found);
  }
  SF_CHECK(planned.empty(),
           "import: the plan has other weights than a model of its configuration: ", planned.begin()->first);
}

Manifest write_import(const ImportedFiles& files, const ImportPlan& plan, const TensorSource& source,
                      const ImportOptions& options) {
  const ModelConfig config = parse_model_config(files.config_json);
  check_plan(plan, source);
  const int64_t total = planned_bytes(plan, options.dtype);
  check_covers(plan, config);
  NewDirectory directory(options.destination);
  write_file(options.destination / "config.json", to_json(config));
  if (config.has_vision())
    write_file(options.destination / "preprocessor_config.json", preprocessor_json(config.image));
  for (const auto& [name, bytes] : files.others) write_file(options.destination / name, bytes);
  WriteOptions write;
  write.dtype = options.dtype;
  if (options.progress) write.progress = [&](int64_t done) { options.progress(done, total); };
  const ManifestFile weights = write_planned(plan, source, options.destination / kWeightsName, write);
  Manifest manifest;
  manifest.created_unix =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  manifest = write_checkpoint_manifest(options.destination, manifest, {{kWeightsName, weights}});
  directory.keep();
  return manifest;
}

std::vector<std::string> characters_of(const fs::path& file) {
  if (file.empty()) return shakespeare_characters();
  const std::string text = read_file(file, 1 << 20);
  if (!is_valid_utf8(text)) throw invalid_argument("characters", "characters: ", file.string(), " is not valid UTF-8");
  std::vector<std::string> characters;
  for (size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80)
      characters.back() += text[at];
    else
      characters.emplace_back(1, text[at]);
  }
  return characters;
}

}  // namespace

Manifest import_hf_model(const ImportOptions& options) {
  const HfConfig hf = read_hf_config(options.source);
  const ShardedTensors source(options.source);
  const HfImport import = plan_hf_import(hf, source, options.prompt_template);
  if (!fs::exists(options.source / "tokenizer.model")) {
    throw Error(Code::kNotFound,
                concat("tokenizer.model is missing in ", options.source.string(),
                       ": only SentencePiece tokenizers are supported"),
                "tokenizer.model");
  }
  ImportedFiles files{import.config_json,
                      {{"tokenizer.model", read_file(options.source / "tokenizer.model", kMaxTokenizerBytes)},
                       {"tokenizer_config.json", import.tokenizer_json},
                       {"generation_config.json", import.generation_json}}};
  make_tokenizer(parse_tokenizer_config(import.tokenizer_json), files.others.at("tokenizer.model"),
                 static_cast<int>(hf.text.vocab_size));
  return write_import(files, import.plan, source, options);
}

Manifest import_seemore_model(const ImportOptions& options) {
  const TorchFile source(options.source);
  const SeemoreImport import = plan_seemore_import(source);
  TokenizerConfig tokenizer;
  tokenizer.characters = characters_of(options.characters);
  const auto count = static_cast<int64_t>(tokenizer.characters.size());
  if (count > import.vocab_size) {
    throw invalid_argument("characters", "characters: ", count, " are more than the model's vocabulary of ",
                           import.vocab_size);
  }
  // Behind the characters stands the padding that follows every text in training: it ends an answer. A vocabulary
  // without one has no end.
  const auto last = static_cast<int>(import.vocab_size - 1);
  tokenizer.eos_ids = {last};
  if (count < import.vocab_size) tokenizer.added_tokens[last] = "<pad>";
  tokenizer.image_id = last;
  make_tokenizer(tokenizer, "", static_cast<int>(import.vocab_size));
  const std::string generation = "{\n  \"do_sample\": false,\n  \"max_new_tokens\": 256\n}\n";
  return write_import(
      {import.config_json, {{"tokenizer_config.json", to_json(tokenizer)}, {"generation_config.json", generation}}},
      import.plan, source, options);
}

}  // namespace sf
