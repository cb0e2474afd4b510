#include "engine/import/registry.h"

#include "engine/base/error.h"
#include "engine/import/hf_family.h"
#include "engine/import/import_encoder.h"

namespace sf {
namespace {

constexpr HfArchitecture kArchitectures[] = {
    {"LlamaForCausalLM"},
    {"MistralForCausalLM"},
    {"MixtralForCausalLM"},
    {"LlavaForConditionalGeneration", &kLlavaFamily},
};

constexpr const HfTextFamily* kTextFamilies[] = {&kLlamaFamily, &kMistralFamily, &kMixtralFamily};

Manifest from_hf(const ImportOptions& options, const VisionImportOptions&) { return import_hf_model(options); }
Manifest from_seed(const ImportOptions& options, const VisionImportOptions&) { return import_seemore_model(options); }
Manifest from_timm(const ImportOptions& options, const VisionImportOptions& vision) {
  return import_encoder(import_timm, options, vision);
}
Manifest from_clip(const ImportOptions& options, const VisionImportOptions& vision) {
  return import_encoder(import_clip, options, vision);
}

}  // namespace

const std::vector<ImportFormat>& import_formats() {
  static const std::vector<ImportFormat> formats = {
      {"hf", from_hf}, {"seed", from_seed}, {"timm", from_timm}, {"clip", from_clip}};
  return formats;
}

Manifest import_checkpoint(const std::string& from, const ImportOptions& options, const VisionImportOptions& vision) {
  std::string known;
  const std::vector<ImportFormat>& formats = import_formats();
  for (size_t i = 0; i < formats.size(); ++i) {
    if (formats[i].name == from) return formats[i].import(options, vision);
    known += concat(i == 0 ? "" : i + 1 == formats.size() ? " or " : ", ", formats[i].name);
  }
  throw invalid_argument("from", "from: must be ", known, ", got ", from);
}

const HfArchitecture* find_hf_architecture(std::string_view name) {
  for (const HfArchitecture& architecture : kArchitectures) {
    if (architecture.name == name) return &architecture;
  }
  return nullptr;
}

const HfTextFamily* find_hf_text_family(std::string_view model_type) {
  for (const HfTextFamily* family : kTextFamilies) {
    if (family->model_type == model_type) return family;
  }
  return nullptr;
}

std::string supported_hf_architectures() {
  std::string names;
  for (const HfArchitecture& architecture : kArchitectures)
    names += concat(names.empty() ? "" : ", ", architecture.name);
  return names;
}

std::string supported_hf_text_families() {
  std::string names;
  for (const HfTextFamily* family : kTextFamilies) names += concat(names.empty() ? "" : ", ", family->model_type);
  return names;
}

}  // namespace sf
