#include <cstdio>
#include <iostream>
#include <map>

#include "engine/base/progress.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/checkpoint_model.h"
#include "engine/runtime/torch_engine.h"
#include "tools/model/commands.h"
#include "tools/model/offline_runner.h"
#include "trainer/evaluator.h"
#include "trainer/tasks/sort_of_clevr/evaluation.h"
#include "trainer/tasks/user_rows/user_data.h"

namespace sf {
namespace {

void print_score(const std::string& name, const KindScore& score, double blind) {
  if (score.asked == 0) return;
  std::printf("%-18s %7ld %9.2f%% ", name.c_str(), static_cast<long>(score.asked), 100 * score.accuracy());
  if (blind > 0)
    std::printf("%9.2f%% ", 100 * blind);
  else
    std::printf("%10s ", "-");
  if (score.clear_asked > 0 && score.clear_asked != score.asked)
    std::printf("%9.2f%%", 100.0 * score.clear_right / score.clear_asked);
  std::printf("\n");
}

double mean_blind(std::initializer_list<data::Kind> kinds) {
  double sum = 0;
  for (data::Kind kind : kinds) sum += data::blind_optimum(kind);
  return sum / static_cast<double>(kinds.size());
}

void print_report(const std::string& title, const EvaluationReport& report, bool paper) {
  std::printf("\n%s\n%-18s %7s %10s %10s %10s\n", title.c_str(), "kind", "asked", "right", "blind", "margin>=3");
  for (int k = 0; k < data::kNumKinds; ++k) {
    const auto kind = static_cast<data::Kind>(k);
    print_score(std::string(data::kind_name(kind)), report.kinds[k], paper ? data::blind_optimum(kind) : 0);
  }
  if (!paper) return;
  print_score("NON-RELATIONAL", report.non_relational, mean_blind({data::kShape, data::kLeftRight, data::kTopBottom}));
  print_score("RELATIONAL", report.relational, mean_blind({data::kClosestShape, data::kFurthestShape, data::kCount}));
}

int eval_generated(const OfflineCommandOptions& options) {
  CheckpointModel model = load_checkpoint_model(open_checkpoint(options.model));
  using Kind = EvaluationSet::Kind;
  VlmExaminee examinee(*model.vlm, *model.tokenizer);
  const auto run = [&](Kind kind, bool paraphrased = false) {
    return evaluate(examinee,
                    {.kind = kind, .images = options.images, .seed = options.seed, .paraphrased = paraphrased});
  };
  print_report(concat(options.images, " pictures of the paper, its 20 questions each, plain wording"),
               run(Kind::kPaper), true);
  print_report("the same pictures, paraphrased", run(Kind::kPaper, true), true);
  const EvaluationReport varied = run(Kind::kVaried);
  print_report("varied pictures (backgrounds, shades, sizes, aspect ratios), all kinds and wordings", varied, false);
  std::printf("%-18s %7ld %9.2f%%\n", "answerable refused", static_cast<long>(varied.answerable),
              varied.answerable ? 100.0 * double(varied.answerable_refused) / double(varied.answerable) : 0.0);
  print_report("describe the picture", run(Kind::kDescribe), false);
  print_report("absent colours", run(Kind::kAbsent), false);
  print_report("pictures that are no scenes", run(Kind::kNonScene), false);
  return 0;
}

// A user's own rows, through the engine: bytes in, text out.
int eval_rows(const OfflineCommandOptions& options) {
  data::UserDataOptions user_options;
  const data::UserData rows = data::load_user_data(options.data, user_options);
  TorchEngineOptions engine_options;
  engine_options.device = options.device;
  engine_options.threads = options.threads;
  auto engine = make_torch_engine(open_checkpoint(options.model), engine_options);
  std::vector<OfflineRequest> requests;
  std::vector<std::string> expected;
  for (const data::UserImage& image : rows.images) {
    for (const data::UserQuestion& question : image.questions) {
      requests.push_back({image.bytes, question.text, {}});
      expected.push_back(question.answer);
    }
  }
  const std::vector<OfflineAnswer> answers = run_offline(*engine, requests, {});
  size_t right = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    right += answers[i].text == expected[i];
    if (answers[i].text != expected[i]) {
      std::printf("wrong: %s -> %s (expected %s)\n", requests[i].question.c_str(),
                  answers[i].error.empty() ? answers[i].text.c_str() : answers[i].error.c_str(), expected[i].c_str());
    }
  }
  std::printf("%zu of %zu right (%.2f%%)\n", right, answers.size(),
              answers.empty() ? 0.0 : 100.0 * double(right) / double(answers.size()));
  return 0;
}

}  // namespace

int eval_command(const OfflineCommandOptions& options) {
  return options.data == "sort-of-clevr" ? eval_generated(options) : eval_rows(options);
}

}  // namespace sf
