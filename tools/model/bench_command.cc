#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>

#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/torch_engine.h"
#include "tools/model/commands.h"
#include "tools/model/offline_runner.h"
#include "tools/model/shared_image_bench.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"
#include "trainer/tasks/sort_of_clevr/sample.h"
#include "trainer/tasks/user_rows/user_data.h"

namespace sf {
namespace {

// Distinct images, one question each.
std::vector<OfflineRequest> generated_requests(int count, uint64_t seed) {
  std::vector<OfflineRequest> requests;
  for (int i = 0; i < count; ++i) {
    data::Rng rng(seed, static_cast<uint64_t>(i));
    const data::Scene scene = data::generate_scene(rng, data::varied_scene_options(rng, 320, 240, 6, 6));
    const std::string png = data::encode_png(data::render(scene, data::random_style(rng), rng));
    data::QuestionMix mix;
    mix.count = 1;
    mix.weights[data::kDescribe] = 0;
    requests.push_back({png, data::sample_questions(rng, scene, mix).front().text, {}});
  }
  return requests;
}

std::vector<OfflineRequest> load_requests(const OfflineCommandOptions& options) {
  if (options.pairs.empty()) return generated_requests(options.requests, options.seed);
  std::vector<OfflineRequest> requests;
  for (const data::UserImage& image : data::load_user_data(options.pairs, {}).images) {
    for (const data::UserQuestion& question : image.questions) requests.push_back({image.bytes, question.text, {}});
  }
  if (static_cast<int>(requests.size()) > options.requests) requests.resize(options.requests);
  return requests;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * double(values.size())))];
}

std::vector<int> parse_batches(const std::string& text) {
  std::vector<int> batches;
  for (size_t at = 0; at < text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, comma - at);
    if (item.empty() || item.size() > 4 || item.find_first_not_of("0123456789") != std::string::npos ||
        std::stoi(item) < 1) {
      throw invalid_argument("batches", "batches: must be positive numbers with commas, got ", text);
    }
    batches.push_back(std::stoi(item));
    at = comma + 1;
  }
  return batches;
}

nlohmann::ordered_json measure(Engine& engine, const std::vector<OfflineRequest>& requests, int batch, int rounds) {
  std::vector<double> rates, tokens, latencies;
  for (int round = 0; round < rounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    const std::vector<OfflineAnswer> answers = run_offline(engine, requests, {.batch = batch});
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    int64_t generated = 0;
    for (const OfflineAnswer& answer : answers) {
      generated += answer.completion_tokens;
      latencies.push_back(answer.seconds * 1000);
    }
    rates.push_back(double(answers.size()) / seconds);
    tokens.push_back(double(generated) / seconds);
  }
  return {{"batch", batch},
          {"requests", requests.size()},
          {"rounds", rounds},
          {"images_per_second", quantile(rates, 0.5)},
          {"tokens_per_second", quantile(tokens, 0.5)},
          {"p50_ms", quantile(latencies, 0.5)},
          {"p99_ms", quantile(latencies, 0.99)}};
}

void print_shared_image(Engine& engine, const OfflineCommandOptions& options, int batch) {
  const SharedImageTimes times = measure_shared_image(
      // Images of its own, or the cache would have them from the batch size before.
      engine, {.questions = options.shared_questions,
               .batch = batch,
               .rounds = options.rounds,
               .seed = options.seed + 1000 * static_cast<uint64_t>(batch)});
  std::vector<double> ratios;
  for (size_t i = 0; i < times.one_ms.size(); ++i) ratios.push_back(times.many_ms[i] / times.one_ms[i]);
  const double one = quantile(times.one_ms, 0.5), many = quantile(times.many_ms, 0.5);
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  if (options.json) {
    std::cout << nlohmann::ordered_json{{"batch", batch},
                                        {"questions", options.shared_questions},
                                        {"rounds", options.rounds},
                                        {"one_picture_ms", one},
                                        {"many_pictures_ms", many},
                                        {"ratio", many / one},
                                        {"one_picture_images", times.one_images},
                                        {"many_pictures_images", times.many_images}}
                     .dump()
              << std::endl;
    return;
  }
  std::printf(
      "batch %d: %d questions about one picture %.1f ms (%d encoded), about %d pictures %.1f ms (%d encoded): %.2f times "
      "(%.2f-%.2f in %d rounds)\n",
      batch, options.shared_questions, one, times.one_images, options.shared_questions, many, times.many_images,
      many / one, *low, *high, options.rounds);
}

}  // namespace

int bench_command(const OfflineCommandOptions& options) {
  const std::vector<int> batches = parse_batches(options.batches);
  const bool shared = options.shared_questions > 0;
  TorchEngineOptions engine_options;
  engine_options.device = options.device;
  engine_options.threads = options.threads;
  engine_options.prefix_cache = shared;  // otherwise every round computes everything
  auto engine = make_torch_engine(open_checkpoint(options.model), engine_options);
  engine->warm_up();
  if (shared) {
    for (int batch : batches) print_shared_image(*engine, options, batch);
    return 0;
  }
  const std::vector<OfflineRequest> requests = load_requests(options);
  if (!options.json) std::printf("%6s %10s %10s %10s %10s\n", "batch", "answers/s", "tokens/s", "p50 ms", "p99 ms");
  for (int batch : batches) {
    const nlohmann::ordered_json row = measure(*engine, requests, batch, options.rounds);
    if (options.json) {
      std::cout << row.dump() << std::endl;
    } else {
      std::printf("%6d %10.1f %10.1f %10.2f %10.2f\n", batch, row["images_per_second"].get<double>(),
                  row["tokens_per_second"].get<double>(), row["p50_ms"].get<double>(), row["p99_ms"].get<double>());
    }
  }
  return 0;
}

}  // namespace sf
