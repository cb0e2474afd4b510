#include "tools/model/offline_runner.h"

#include <algorithm>
#include <chrono>
#include <list>

namespace sf {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Running {
  size_t request;
  SequenceId id;
  std::unique_ptr<TokenStream> stream;
  int left;  // tokens that may still be generated
  double began;
};

class Runner {
 public:
  Runner(Engine& engine, const std::vector<OfflineRequest>& requests, const OfflineOptions& options)
      : engine_(engine), requests_(requests), options_(options), answers_(requests.size()) {}

  std::vector<OfflineAnswer> run() {
    while (next_ < requests_.size() || !running_.empty()) {
      while (static_cast<int>(running_.size()) < options_.batch && next_ < requests_.size()) admit(next_++);
      if (!running_.empty()) step();
    }
    return std::move(answers_);
  }

 private:
  void admit(size_t index) {
    const double began = now();
    const OfflineRequest& request = requests_[index];
    try {
      Message message{"user", {{Part::Kind::kText, request.question}}};
      if (!request.image.empty()) message.parts.insert(message.parts.begin(), {Part::Kind::kImage, request.image});
      PreparedPromptPtr prompt = engine_.prepare({message});
      const int room = engine_.info().max_context - prompt->num_tokens();
      answers_[index].prompt_tokens = prompt->num_tokens();
      const SequenceId id = engine_.admit(prompt, request.sampling);
      running_.push_back({index, id, engine_.token_stream(), std::min(room, request.sampling.max_tokens), began});
    } catch (const Error& error) {
      answers_[index].error = error.what();
    }
  }

  StepPlan plan() const {
    StepPlan plan;
    int budget = options_.prefill_tokens;
    for (const Running& running : running_) {
      const int tokens = engine_.tokens_to_compute(running.id);
      if (tokens > 1 && tokens > budget && budget < options_.prefill_tokens) continue;
      if (tokens > 1) budget -= tokens;
      plan.items.push_back({running.id, tokens});
    }
    return plan;
  }

  void step() {
    const StepResult result = engine_.step(plan());
    for (const SequenceStepResult& out : result.sequences) {
      auto running = std::find_if(running_.begin(), running_.end(), [&](const Running& r) { return r.id == out.id; });
      OfflineAnswer& answer = answers_[running->request];
      bool done = false;
      if (out.error || out.out_of_pages) {
        answer.error = out.error ? out.error->what() : "the cache is too small for this batch";
        done = true;
      }
      for (int token : out.tokens) {
        ++answer.completion_tokens;
        if (!out.stop_token) answer.text += running->stream->push(token);
        done = out.stop_token || --running->left <= 0;
      }
      if (!done) continue;
      answer.text += running->stream->finish();
      answer.seconds = now() - running->began;
      engine_.release(out.id);
      running_.erase(running);
    }
  }

  Engine& engine_;
  const std::vector<OfflineRequest>& requests_;
  OfflineOptions options_;
  std::vector<OfflineAnswer> answers_;
  std::list<Running> running_;
  size_t next_ = 0;
};

}  // namespace

std::vector<OfflineAnswer> run_offline(Engine& engine, const std::vector<OfflineRequest>& requests,
                                       const OfflineOptions& options) {
  return Runner(engine, requests, options).run();
}

}  // namespace sf
