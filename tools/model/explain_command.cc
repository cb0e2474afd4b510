#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "engine/base/file.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/explain/explanation_json.h"
#include "engine/explain/overlay.h"
#include "engine/runtime/torch_engine.h"
#include "tools/model/commands.h"

namespace sf {
namespace {

constexpr int kLensShown = 3;

void print_tokens(const Explanation& e) {
  std::printf("%-4s %-14s %9s %6s  %s\n", "", "token", "log p", "p", "heatmap maximum");
  for (size_t a = 0; a < e.tokens.size(); ++a) {
    const ExplainedToken& token = e.tokens[a];
    const auto peak = std::max_element(token.heatmap.begin(), token.heatmap.end());
    const int cell = static_cast<int>(peak - token.heatmap.begin());
    std::printf("%-4zu %-14s %9.4f %6.3f  row %d column %d: %.1f%%\n", a, ("\"" + token.text + "\"").c_str(),
                token.logprob, std::exp(token.logprob), cell / e.columns, cell % e.columns, 100 * *peak);
  }
}

void print_lens(const Explanation& e) {
  std::printf("\nlogit lens: what each layer would have said\n");
  for (const LensLayer& layer : e.logit_lens) {
    std::printf("token %d layer %d  rank of the answer %-4d ", layer.answer_token, layer.layer, layer.answer_rank);
    for (int i = 0; i < std::min(kLensShown, static_cast<int>(layer.top.size())); ++i) {
      std::printf(" \"%s\" %.3f", layer.top[i].token.c_str(), layer.top[i].prob);
    }
    std::printf("\n");
  }
}

void print_routing(const Explanation& e) {
  std::printf("\nexperts of the text tokens, by layer: id(gate)\n");
  for (const TokenRouting& token : e.routing) {
    if (token.image) continue;
    std::printf("%-14s", ("\"" + token.text + "\"").c_str());
    for (size_t layer = 0; layer < token.ids.size(); ++layer) {
      for (size_t k = 0; k < token.ids[layer].size(); ++k)
        std::printf(" %d(%.2f)", token.ids[layer][k], token.gates[layer][k]);
      if (layer + 1 < token.ids.size()) std::printf("  |");
    }
    std::printf("\n");
  }
  std::printf("\nfirst expert of the picture's cells\n");
  const auto first = std::find_if(e.routing.begin(), e.routing.end(), [](const TokenRouting& t) { return t.image; });
  if (first == e.routing.end()) return;
  for (int row = 0; row < e.rows; ++row) {
    for (size_t layer = 0; layer < first->ids.size(); ++layer) {
      if (first->ids[layer].empty()) continue;  // dense
      std::printf(layer == 0 ? "  " : "    |  ");
      for (int column = 0; column < e.columns; ++column)
        std::printf("%3d", (first + row * e.columns + column)->ids[layer][0]);
    }
    std::printf("\n");
  }
}

void write_overlays(const Explanation& e, const Image& image, const std::filesystem::path& folder, bool tell) {
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const Image& image) {
    write_file(folder / name, encode_png(image));
    if (tell) std::printf("%s\n", (folder / name).c_str());
  };
  if (tell) std::printf("\n");
  for (size_t a = 0; a < e.tokens.size(); ++a) {
    write(concat(heatmap_method_name(e.method), "_token", a, ".png"), heatmap_overlay(image, e, e.tokens[a].heatmap));
  }
  write("experts_by_layer.png", expert_overlay(image, e));
  write("expert_usage.png", expert_usage_map(e));
}

}  // namespace

int explain_command(const OfflineCommandOptions& options) {
  if (!options.explain_data.empty()) return explain_study(options);
  if (options.image.empty()) throw invalid_argument("image", "image: --image and --question are needed, or --data");
  if (options.question.empty()) throw invalid_argument("question", "question: --question is needed beside --image");
  TorchEngineOptions engine_options;
  engine_options.device = options.device;
  engine_options.threads = options.threads;
  ExplainOptions explain;
  explain.method = parse_heatmap_method(options.method);
  explain.layer = options.layer;
  explain.head = options.head;
  auto engine = make_torch_engine(open_checkpoint(options.model), engine_options);
  const std::string bytes = read_file(options.image, engine_options.image_limits.max_bytes);
  const PreparedPromptPtr prompt =
      engine->prepare({{"user", {{Part::Kind::kImage, bytes}, {Part::Kind::kText, options.question}}}});
  const Explanation e = engine->explain(*prompt, {.max_tokens = options.max_tokens}, explain, [] {});
  if (options.json) {
    std::cout << explanation_json(e).dump() << "\n";
  } else {
    std::printf("%s\n\n", e.answer.c_str());
    print_tokens(e);
    print_lens(e);
    print_routing(e);
  }
  if (!options.out.empty())
    write_overlays(e, decode_image(bytes, engine_options.image_limits), options.out, !options.json);
  return 0;
}

}  // namespace sf
