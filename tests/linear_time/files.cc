// What goes through the scheduler and the readers of files: stop strings against answers, TOML, safetensors headers.
#include "engine/base/error.h"
#include "engine/base/toml.h"
#include "engine/checkpoint/safetensors.h"
#include "server/scheduler/scheduler.h"
#include "tests/linear_time/measure.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"

namespace sf::server {
namespace {

using linear_time::Measure;
using linear_time::numbered;
using linear_time::repeat;

struct Answer {
  std::vector<std::string> tokens, stops;
};

// One question from the queue to its answer's end.
void generate(const Answer& answer) {
  ManualClock clock;
  Metrics metrics({});
  DrainRate drain_rate;
  auto engine = std::make_shared<FakeEngine>();
  engine->script("q", answer.tokens);
  SchedulerDeps deps;
  deps.engine = engine;
  deps.clock = &clock;
  deps.metrics = &metrics;
  deps.version_metrics = metrics.add_version(1, engine->info());
  deps.drain_rate = &drain_rate;
  deps.log_failure = [](const std::string&, const std::string&) {};
  Scheduler scheduler(std::move(deps), {});
  JobRequest request;
  request.prompt = engine->prepare(ask("q"), {});
  request.sampling.max_tokens = 400;
  request.stop = answer.stops;
  request.deadline_s = 1e9;
  auto stream = std::make_shared<EventQueue>(1);
  scheduler.submit(std::make_unique<Job>(std::move(request), *engine, stream, *scheduler.reserve(1), nullptr));
  for (bool finished = false; !finished;) {
    scheduler.step_once();
    while (const auto event = stream->next_for(0)) finished = finished || event->finished;
  }
}

void measure_answers(const Measure& measure) {
  // Tokens of 1,000 bytes that look like the beginning of every stop string.
  const std::string token = repeat("a", 1000);
  const auto stops = [](size_t length) { return std::vector<std::string>(16, repeat("a", length) + "b"); };
  measure(
      "stop strings against a long answer", 20,
      [&](size_t n) {
        return Answer{std::vector<std::string>(n, token), stops(250)};
      },
      generate);
  measure(
      "long stop strings", 60,
      [&](size_t n) {
        return Answer{std::vector<std::string>(40, repeat("a", 20 * n)), stops(n)};
      },
      generate);
}

void measure_files(const Measure& measure) {
  const auto toml = [&](const std::string& name, size_t n, const auto& make) {
    measure("toml " + name, n, make, [](const std::string& text) {
      try {
        parse_toml(text, "settings.toml");
      } catch (const Error&) {
      }
    });
  };
  toml("keys", 4000, [](size_t n) { return numbered("k", " = 1\n", n); });
  toml("tables", 2000, [](size_t n) { return numbered("[t", ".u]\nk = 1\n", n); });
  toml("a deep table and keys", 2000,
       [](size_t n) { return "[" + repeat("a.", 15) + "a]\n" + numbered("k", " = 1\n", n); });
  toml("dotted keys", 2000, [](size_t n) { return numbered("t", ".u.k = 1\n", n); });
  toml("lines of an array", 10'000, [](size_t n) { return "k = [\n" + repeat("1, \n", n) + "]\n"; });
  toml("a long comment", 30'000, [](size_t n) { return repeat("#.", n); });
  toml("values", 10'000, [](size_t n) { return "k = [" + repeat("1, ", n) + "1]\n"; });
  toml("a string", 30'000, [](size_t n) { return "k = \"" + repeat("\\n", n) + "\"\n"; });
  toml("blank lines", 60'000, [](size_t n) { return repeat("\n", n); });

  const auto safetensors = [&](const std::string& name, size_t n, const auto& make) {
    measure(
        "safetensors " + name, n,
        [&](size_t size) {
          const std::string header = make(size);
          std::string bytes;
          for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
          return bytes + header;
        },
        [](const std::string& bytes) {
          try {
            Safetensors::parse(bytes, "model.safetensors");
          } catch (const Error&) {
          }
        });
  };
  const std::string empty = "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
  safetensors("tensors", 1000, [&](size_t n) { return "{" + numbered("\"t", empty + ",", n) + "\"z" + empty + "}"; });
  safetensors("metadata", 4000,
              [&](size_t n) { return "{\"__metadata__\":{" + numbered("\"m", "\":\"v\",", n) + "\"z\":\"v\"}}"; });
}

}  // namespace
}  // namespace sf::server

int main(int argc, char** argv) {
  using namespace sf::server;
  const sf::linear_time::Measure measure(argc, argv);
  measure_answers(measure);
  measure_files(measure);
}
