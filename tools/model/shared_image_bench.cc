#include "tools/model/shared_image_bench.h"

#include <algorithm>
#include <chrono>

#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf {
namespace {

struct GeneratedImage {
  std::string png;
  std::vector<data::Question> questions;
};

GeneratedImage image_with(int questions, uint64_t seed, uint64_t index) {
  data::Rng rng(seed, index);
  const data::Scene scene = data::generate_scene(rng, data::varied_scene_options(rng, 320, 240, 6, 6));
  data::QuestionMix mix;
  mix.count = questions;
  mix.weights[data::kDescribe] = 0;
  return {data::encode_png(data::render(scene, data::random_style(rng), rng)), data::sample_questions(rng, scene, mix)};
}

PreparedPromptPtr prompt_of(const Engine& engine, const GeneratedImage& image, int question) {
  return engine.prepare(
      {{"user", {{Part::Kind::kImage, image.png}, {Part::Kind::kText, image.questions[question].text}}}});
}

// Milliseconds until all are answered; `images` gets the number of images encoded.
double time_answers(Engine& engine, const std::vector<PreparedPromptPtr>& prompts, int batch, int& images) {
  struct Running {
    SequenceId id;
    int left;
  };
  std::vector<Running> running;
  images = 0;
  const auto began = std::chrono::steady_clock::now();
  for (size_t next = 0; next < prompts.size() || !running.empty();) {
    for (; next < prompts.size() && static_cast<int>(running.size()) < batch; ++next) {
      const SamplingParams greedy;
      const int room = engine.info().max_context - prompts[next]->num_tokens();
      running.push_back({engine.admit(prompts[next], greedy), std::min(room, greedy.max_tokens)});
    }
    StepPlan plan;
    for (const Running& one : running) plan.items.push_back({one.id, engine.tokens_to_compute(one.id)});
    const StepResult step = engine.step(plan);
    images += step.images_encoded;
    for (size_t i = running.size(); i-- > 0;) {
      const SequenceStepResult& out = step.sequences[i];
      if (out.error) throw *out.error;
      SF_CHECK(!out.out_of_pages, "bench: the KV cache is too small for this batch");
      running[i].left -= static_cast<int>(out.tokens.size());
      if (!out.stop_token && running[i].left > 0) continue;
      engine.release(running[i].id);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

SharedImageTimes measure_shared_image(Engine& engine, const SharedImageOptions& options) {
  SharedImageTimes times;
  for (int round = 0; round < options.rounds; ++round) {
    const uint64_t first = static_cast<uint64_t>(round) * static_cast<uint64_t>(options.questions + 1);
    std::vector<PreparedPromptPtr> one, many;
    const GeneratedImage shared = image_with(options.questions, options.seed, first);
    for (int q = 0; q < options.questions; ++q) {
      one.push_back(prompt_of(engine, shared, q));
      many.push_back(prompt_of(engine, image_with(1, options.seed, first + 1 + static_cast<uint64_t>(q)), 0));
    }
    for (bool now : {round % 2 == 0, round % 2 != 0}) {  // which goes first alternates
      if (now)
        times.one_ms.push_back(time_answers(engine, one, options.batch, times.one_images));
      else
        times.many_ms.push_back(time_answers(engine, many, options.batch, times.many_images));
    }
  }
  return times;
}

}  // namespace sf
