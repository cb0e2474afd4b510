// What a model is trained on and judged by. The trainer knows nothing else about it: a task gives the examples of every
// step, what is known of their image tokens, the held-out examples, and what the answers to those are worth.
//
//   const std::unique_ptr<Task> task = make_task({.data = "mine.jsonl"});   // trainer/tasks/registry.h
//   const std::vector<Example> examples = task->examples({.num_images = 16, .seed = 1, .step = step});
//
// A task is pure data, without LibTorch: the model is asked through `Examinee`. A new one is a folder of trainer/tasks
// and a line in the registry. A task is immutable after construction; an Examinee is for one thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/image/preprocess.h"
#include "engine/text/tokenizer.h"

namespace sf {

struct QuestionAnswer {
  std::string question, answer;
};

// Something in an image that words name: its image token learns them (the alignment loss).
struct NamedObject {
  float x = 0, y = 0;      // centre, in grid pixels (PixelValues, padding included), inside the grid
  std::vector<int> words;  // indices into Task::object_words()
};

// What is known of each token of the vision encoder, row by row.
struct TokenLabels {
  int rows = 0, columns = 0;
  bool in_task = true;                    // false: an image of another kind, which has no objects
  std::vector<char> object;               // [rows * columns] 1 where an object is centred
  std::vector<std::vector<int>> classes;  // [Task::dense_targets()][rows * columns]; -1 = unknown
};

// One question that a linear layer answers from each token of the vision encoder.
struct DenseTarget {
  std::string name;
  int classes = 2;
  double weight = 1;  // of its cross-entropy
};

struct Example {
  PixelValues pixels;
  std::vector<QuestionAnswer> questions;
  std::vector<NamedObject> objects = {};
  std::optional<TokenLabels> labels = {};  // where ExampleRequest::label_size asks for them
  // The image as a file, of golden examples only; empty: one is made from the pixels.
  std::string encoded = {};
};

// The examples of one step. They are a pure function of the request.
struct ExampleRequest {
  PreprocessOptions pre;
  int num_images = 16;
  int num_questions = 8;  // of one image, at most
  uint64_t seed = 1;
  int64_t step = 0;
  double progress = 0;  // of the run, 0..1
  bool warm = false;    // the run began with a model that can answer
  int label_size = 0;   // pixels along the side of an encoder token that gets labels; 0 = no labels
};

struct AnsweredQuestion {
  bool right = false;   // token for token, as greedy decoding would say it
  float margin = 0;     // smallest top-2 logit gap over the answer's tokens
  int first_token = 0;  // of what the model says
};

// Tokens of an evaluation by expert: [layers][experts].
struct ExpertCounts {
  std::vector<std::vector<int64_t>> all;
  std::vector<std::vector<int64_t>> image;  // of those, image tokens
};

// The model that an evaluation asks. One thread only.
class Examinee {
 public:
  using Visit = std::function<void(int index, const Example& example, const std::vector<AnsweredQuestion>& answers)>;
  virtual ~Examinee() = default;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual PreprocessOptions preprocess() const = 0;
  // Effect: asks every question of the examples 0..count-1, which `make` gives; `visit` sees each once, in any order.
  virtual ExpertCounts ask(int count, const std::function<Example(int)>& make, const Visit& visit) = 0;
  // Effect: decodes greedily; one text for each question of the example, of `max_tokens` at most.
  virtual std::vector<std::string> generate(const Example& example, int max_tokens) = 0;
};

struct TaskEvaluation {
  std::map<std::string, double> scores;  // the manifest's; "score" is the one by which versions are compared
  std::vector<std::pair<std::string, double>> accuracy;  // by kind, for the metrics port
  std::string summary;                                   // one line for a person
  ExpertCounts experts;

  double score() const { return scores.at("score"); }
};

// Immutable after construction: every method may be called from any thread.
class Task {
 public:
  virtual ~Task() = default;

  // Effect: `request.num_images` examples that share one grid. Errors: those of decode_image.
  virtual std::vector<Example> examples(const ExampleRequest& request) const = 0;
  // The same for the vision encoder alone (phase 1): without questions, labels always. REQUIRES: dense_targets() is not
  // empty.
  virtual std::vector<Example> encoder_examples(const ExampleRequest& request) const = 0;
  // What examples may name; each is one piece of the vocabulary. Empty: no alignment loss.
  virtual std::vector<std::string> object_words() const { return {}; }
  // Empty: no labels of encoder tokens, and no phase 1.
  virtual std::vector<DenseTarget> dense_targets() const { return {}; }
  // Sentences that a new model's tokenizer is trained on.
  virtual std::vector<std::string> tokenizer_corpus(uint64_t seed) const = 0;

  virtual int64_t images_per_epoch() const = 0;
  // Where neither steps nor epochs are given.
  virtual int64_t default_steps(int batch_size) const = 0;
  virtual int64_t warmup_steps(int64_t total_steps) const = 0;

  // What evaluate() measures on: a sha256, in hex, over the task's name and the held-out rows. Scores are compared only
  // where it is the same.
  virtual std::string evaluation_id() const = 0;
  // Effect: asks the held-out questions.
  virtual TaskEvaluation evaluate(Examinee& model) const = 0;
  // The kinds that TaskEvaluation::accuracy may name.
  virtual std::vector<std::string> accuracy_kinds() const = 0;
  // Held-out examples whose right answers go to golden.json.
  virtual std::vector<Example> golden_examples(const PreprocessOptions& pre) const = 0;
};

}  // namespace sf
