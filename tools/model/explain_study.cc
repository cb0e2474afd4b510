// `explain --data sort-of-clevr`: every heatmap method in the pointing game, and what the experts specialise in.
#include <array>
#include <cstdio>
#include <map>

#include "engine/base/progress.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/torch_engine.h"
#include "tools/model/commands.h"
#include "tools/model/expert_tables.h"
#include "tools/model/pointing_game.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf {
namespace {

constexpr std::array kOtherKinds = {data::kLeftRight,     data::kTopBottom,     data::kCount,
                                    data::kClosestShape,  data::kFurthestShape, data::kClosestColour,
                                    data::kFurthestColour};
constexpr int kMethods = static_cast<int>(std::size(kHeatmapMethods));

struct KindResult {
  int asked = 0, right = 0;
  std::array<PointingScore, kMethods> scores;
};

class Study {
 public:
  explicit Study(Engine& engine) : engine_(engine), tables_(engine.info().num_layers, engine.info().num_experts) {}

  // An image of the paper: its shape question, and one of another kind in turn.
  void add(uint64_t seed, int index) {
    data::Rng rng(seed ^ 0x5eed0fe7a1ull, static_cast<uint64_t>(index));
    const data::Scene scene = data::generate_scene(rng, {});
    const std::string png = encode_png(data::render(scene, data::plain_style(), rng));
    for (data::Kind kind : {data::kShape, kOtherKinds[static_cast<size_t>(index) % kOtherKinds.size()]}) {
      const int object = rng.below(static_cast<int>(scene.objects.size()));
      ask(scene, png, data::make_question(rng, scene, kind, object, data::Phrasing::kCanonical));
    }
  }

  void print() const {
    std::printf(
        "pointing game on pictures of the paper: the heatmap's maximum within one cell of the asked object's centre "
        "(near), in "
        "a cell that its box touches (box); chance beside\n");
    std::printf("%-18s %6s %7s", "kind", "asked", "right");
    for (HeatmapMethod method : kHeatmapMethods)
      std::printf("  %9s near %5s", std::string(heatmap_method_name(method)).c_str(), "box");
    std::printf("  %6s near %5s\n", "chance", "box");
    for (const auto& [kind, result] : results_) print_row(std::string(data::kind_name(kind)), result);
    tables_.print();
  }

 private:
  void ask(const data::Scene& scene, const std::string& png, const data::Question& question) {
    const PreparedPromptPtr prompt =
        engine_.prepare({{"user", {{Part::Kind::kImage, png}, {Part::Kind::kText, question.text}}}});
    KindResult& result = results_[question.kind];
    ++result.asked;
    for (int m = 0; m < kMethods; ++m) {
      ExplainOptions options;
      options.method = kHeatmapMethods[m];
      options.lens_top = 0;
      const Explanation e = engine_.explain(*prompt, {}, options, [] {});
      result.scores[m].add(e, object_in_grid(scene.objects[question.object], e));
      if (m > 0) continue;
      result.right += e.answer == question.answer;
      tables_.add(e, std::string(data::kind_name(question.kind)));
    }
  }

  static void print_row(const std::string& name, const KindResult& result) {
    const auto percent = [&](double count) { return 100.0 * count / result.asked; };
    std::printf("%-18s %6d %6.1f%%", name.c_str(), result.asked, percent(result.right));
    for (const PointingScore& score : result.scores)
      std::printf("  %13.1f%% %4.1f%%", percent(score.near), percent(score.in_box));
    std::printf("  %10.1f%% %4.1f%%\n", percent(result.scores[0].near_chance), percent(result.scores[0].in_box_chance));
  }

  Engine& engine_;
  std::map<data::Kind, KindResult> results_;
  ExpertTables tables_;
};

}  // namespace

int explain_study(const OfflineCommandOptions& options) {
  if (options.explain_data != "sort-of-clevr") {
    throw invalid_argument("data", "data: heatmaps are scored on sort-of-clevr, whose object boxes are known, got ",
                           options.explain_data);
  }
  if (options.images < 1) throw invalid_argument("images", "images: must be at least 1, got ", options.images);
  TorchEngineOptions engine_options;
  engine_options.device = options.device;
  engine_options.threads = options.threads;
  auto engine = make_torch_engine(open_checkpoint(options.model), engine_options);
  Study study(*engine);
  Progress progress("explain", options.images, "pictures");
  for (int i = 0; i < options.images; ++i) {
    study.add(options.seed, i);
    progress.update(i + 1);
  }
  progress.finish();
  study.print();
  return 0;
}

}  // namespace sf
