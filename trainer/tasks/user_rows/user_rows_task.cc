#include "trainer/tasks/user_rows/user_rows_task.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "engine/base/error.h"
#include "engine/checkpoint/sha256.h"
#include "trainer/data/rng.h"
#include "trainer/tasks/user_rows/held_out.h"

namespace sf {
namespace {

constexpr size_t kQuestionsAtOnce = 16;  // of one image, in a row of an evaluation
constexpr int kDecodedExamples = 64;     // whose wrong answers are decoded for the token F1
constexpr int kMaxDecodedTokens = 48;
constexpr size_t kMaxKinds = 32;  // scored apart; rows of rarer ones count as kOther
constexpr const char* kOther = "other";
constexpr int kGoldenImages = 12;
constexpr size_t kMaxGoldenBytes = 256 << 10;  // of one image's file
constexpr int kGoldenSide = 320;               // of an image whose file is larger
constexpr int64_t kPasses = 30, kMinSteps = 250, kMaxSteps = 5000;

using data::UserImage;
using data::UserQuestion;

// Some of a held-out image's rows.
struct HeldOutRows {
  const UserImage* image = nullptr;
  std::vector<const UserQuestion*> questions;
};

struct Count {
  int64_t asked = 0, right = 0;
  double accuracy() const { return asked ? double(right) / double(asked) : 0; }
};

std::vector<std::string> words_of(const std::string& text) {
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::istringstream in(lower);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

class UserRowsTask : public Task {
 public:
  UserRowsTask(const UserRowsOptions& options, data::HeldOutSplit split, ImageLimits limits)
      : options_(options), split_(std::move(split)), limits_(limits) {
    const size_t most = std::min(split_.held_out.size(), static_cast<size_t>(options_.max_evaluation_images));
    for (size_t i = 0; i < most; ++i) add_held_out(split_.held_out[i]);
    choose_kinds();
  }

  std::vector<Example> examples(const ExampleRequest& request) const override {
    data::Rng rng(request.seed, static_cast<uint64_t>(request.step));
    const auto grid_of = [&](const UserImage& image) { return choose_grid(image.width, image.height, request.pre); };
    const GridSize grid = grid_of(rng.pick(split_.training));
    std::vector<const UserImage*> alike;
    for (const UserImage& image : split_.training) {
      if (grid_of(image) == grid) alike.push_back(&image);
    }
    std::vector<Example> examples;
    for (int i = 0; i < request.num_images; ++i) {
      const UserImage& image = *rng.pick(alike);
      std::vector<UserQuestion> questions = image.questions;
      rng.shuffle(questions);
      questions.resize(std::min<size_t>(questions.size(), static_cast<size_t>(request.num_questions)));
      Example example{pixels_of(image.bytes, request.pre), {}};
      for (const UserQuestion& question : questions) example.questions.push_back({question.text, question.answer});
      examples.push_back(std::move(example));
    }
    return examples;
  }

  std::vector<Example> encoder_examples(const ExampleRequest&) const override {
    throw Error(Code::kInternal, "user rows: nothing is known of encoder tokens");
  }

  std::vector<std::string> tokenizer_corpus(uint64_t) const override {
    std::vector<std::string> sentences;
    for (const UserImage& image : split_.training) {
      for (const UserQuestion& question : image.questions) {
        sentences.push_back(question.text);
        sentences.push_back(question.answer);
      }
    }
    return sentences;
  }

  int64_t images_per_epoch() const override { return static_cast<int64_t>(split_.training.size()); }
  int64_t default_steps(int batch_size) const override {
    return std::clamp(kPasses * images_per_epoch() / batch_size, kMinSteps, kMaxSteps);
  }
  int64_t warmup_steps(int64_t total_steps) const override { return std::clamp<int64_t>(total_steps / 10, 1, 200); }

  // Of the rows alone: their order in the file and its name do not count.
  std::string evaluation_id() const override {
    Sha256 digest;
    digest.update("user-rows\n");
    for (const auto& [image, rows] : rows_by_image()) {
      digest.update(concat(image, " ", rows.size(), "\n"));
      for (const auto& [question, answer] : rows) {
        digest.update(concat(question.size(), " ", answer.size(), "\n", question, answer, "\n"));
      }
    }
    return digest.hex();
  }

  TaskEvaluation evaluate(Examinee& model) const override {
    std::map<std::string, Count> kinds;
    Count all, decoded;  // `decoded`: of the examples that the token F1 is computed on
    std::map<int, std::vector<size_t>> wrong;
    const auto visit = [&](int index, const Example&, const std::vector<AnsweredQuestion>& answers) {
      for (size_t q = 0; q < answers.size(); ++q) {
        for (Count* count : {&all, &kinds[kind_of(*held_out_[static_cast<size_t>(index)].questions[q])]}) {
          ++count->asked;
          count->right += answers[q].right;
        }
        if (index >= kDecodedExamples) continue;
        ++decoded.asked;
        decoded.right += answers[q].right;
        if (!answers[q].right) wrong[index].push_back(q);
      }
    };
    const auto make = [&](int index) {
      const HeldOutRows& rows = held_out_[static_cast<size_t>(index)];
      return example_of(rows, rows.image->bytes, model.preprocess());
    };
    TaskEvaluation out;
    out.experts = model.ask(static_cast<int>(held_out_.size()), make, visit);
    double f1 = static_cast<double>(decoded.right);
    for (const auto& [index, questions] : wrong) f1 += f1_of(model, make(index), questions);
    out.scores["score"] = out.scores["exact_match"] = all.accuracy();
    out.scores["token_f1"] = decoded.asked ? f1 / static_cast<double>(decoded.asked) : 0;
    out.summary =
        concat("score ", out.score(), " exact match ", all.right, "/", all.asked, " token F1 ", out.scores["token_f1"]);
    out.accuracy.emplace_back("all", all.accuracy());
    for (const auto& [kind, count] : kinds) {
      if (kinds_.empty()) break;
      out.scores["exact_match " + kind] = count.accuracy();
      out.accuracy.emplace_back(kind, count.accuracy());
      out.summary += concat(" ", kind, " ", count.accuracy());
    }
    return out;
  }

  std::vector<std::string> accuracy_kinds() const override {
    std::vector<std::string> kinds = {"all"};
    kinds.insert(kinds.end(), kinds_.begin(), kinds_.end());
    return kinds;
  }

  std::vector<Example> golden_examples(const PreprocessOptions& pre) const override {
    std::vector<Example> examples;
    for (const HeldOutRows& rows : held_out_) {
      if (examples.size() == kGoldenImages) break;
      std::string file = golden_file(rows.image->bytes);
      examples.push_back(example_of(rows, file, pre));
      examples.back().encoded = std::move(file);
    }
    return examples;
  }

 private:
  void add_held_out(const UserImage& image) {
    for (size_t q = 0; q < image.questions.size(); ++q) {
      if (q % kQuestionsAtOnce == 0) held_out_.push_back({&image, {}});
      held_out_.back().questions.push_back(&image.questions[q]);
    }
  }

  // The most frequent kinds of the held-out rows; none where no row has one.
  void choose_kinds() {
    std::map<std::string, int64_t> frequency;
    for (const HeldOutRows& rows : held_out_) {
      for (const UserQuestion* question : rows.questions) ++frequency[question->kind];
    }
    const bool without = frequency.erase("") > 0;
    std::vector<std::pair<int64_t, std::string>> order;
    for (const auto& [kind, count] : frequency) order.emplace_back(-count, kind);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < std::min(order.size(), kMaxKinds); ++i) kinds_.push_back(order[i].second);
    if (!kinds_.empty() && (without || order.size() > kMaxKinds)) kinds_.push_back(kOther);
  }

  std::string kind_of(const UserQuestion& question) const {
    const bool known = std::find(kinds_.begin(), kinds_.end(), question.kind) != kinds_.end();
    return known ? question.kind : kOther;
  }

  // By sha256 of the image's bytes: its evaluated questions and answers, in order.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> rows_by_image() const {
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> images;
    for (const HeldOutRows& rows : held_out_) {
      auto& texts = images[sha256_hex(rows.image->bytes)];
      for (const UserQuestion* question : rows.questions) texts.emplace_back(question->text, question->answer);
    }
    for (auto& [image, texts] : images) std::sort(texts.begin(), texts.end());
    return images;
  }

  PixelValues pixels_of(const std::string& bytes, const PreprocessOptions& pre) const {
    return preprocess(decode_image(bytes, limits_), pre);
  }

  // The rows about their image, as `file` shows it.
  Example example_of(const HeldOutRows& rows, const std::string& file, const PreprocessOptions& pre) const {
    Example example{pixels_of(file, pre), {}};
    for (const UserQuestion* question : rows.questions) example.questions.push_back({question->text, question->answer});
    return example;
  }

  // The sum over some of the example's questions, which were answered wrong.
  static double f1_of(Examinee& model, const Example& example, const std::vector<size_t>& questions) {
    Example asked{example.pixels, {}};
    for (const size_t q : questions) asked.questions.push_back(example.questions[q]);
    const std::vector<std::string> said = model.generate(asked, kMaxDecodedTokens);
    double sum = 0;
    for (size_t i = 0; i < said.size(); ++i) sum += token_f1(said[i], asked.questions[i].answer);
    return sum;
  }

  // The image's file as it is, or smaller.
  std::string golden_file(const std::string& bytes) const {
    if (bytes.size() <= kMaxGoldenBytes) return bytes;
    const Image image = decode_image(bytes, limits_);
    const double scale = std::min(1.0, double(kGoldenSide) / std::max(image.width, image.height));
    const auto side = [&](int pixels) { return std::max(1, static_cast<int>(pixels * scale)); };
    return encode_png(resize_bicubic(image, side(image.width), side(image.height)));
  }

  const UserRowsOptions options_;
  const data::HeldOutSplit split_;
  const ImageLimits limits_;
  std::vector<HeldOutRows> held_out_;  // of split_; by ascending sha256 of the images' bytes
  std::vector<std::string> kinds_;
};

data::UserData read_rows(const std::string& path, const UserRowsOptions& options,
                         const data::UserDataOptions& reading) {
  data::UserData rows = data::load_user_data(path, reading);
  for (const data::BadRow& row : rows.bad_rows) {
    if (options.message) options.message(concat(path, ":", row.line, ": skipped: ", row.reason));
  }
  return rows;
}

void report_split(const UserRowsOptions& options, const data::HeldOutSplit& split) {
  if (!options.message) return;
  options.message(concat(options.data, ": ", split.training_rows, " rows of ", split.training.size(),
                         " images to train on, ", split.held_out_rows, " rows of ", split.held_out.size(),
                         " images held out for the score"));
  if (split.dropped_rows > 0) {
    options.message(
        concat("warning: ", split.dropped_rows, " rows are left out: an image that is held out is not trained on"));
  }
  if (split.held_out_rows < data::kFewRows) {
    options.message(concat("warning: a score over ", split.held_out_rows, " held-out rows means little; ",
                           data::kFewRows, " or more would (--eval-data, --eval-fraction)"));
  }
}

}  // namespace

double token_f1(const std::string& said, const std::string& expected) {
  const std::vector<std::string> a = words_of(said), b = words_of(expected);
  if (a.empty() || b.empty()) return a.empty() && b.empty() ? 1 : 0;
  std::map<std::string, int> left;
  for (const std::string& word : b) ++left[word];
  int same = 0;
  for (const std::string& word : a) same += left[word]-- > 0;
  if (same == 0) return 0;
  const double precision = double(same) / double(a.size()), recall = double(same) / double(b.size());
  return 2 * precision * recall / (precision + recall);
}

std::unique_ptr<Task> make_user_rows_task(const UserRowsOptions& options) {
  if (!(options.eval_fraction > 0 && options.eval_fraction <= 0.2)) {
    throw invalid_argument("eval-fraction", "eval-fraction: must be above 0 and at most 0.2, got ",
                           options.eval_fraction);
  }
  if (options.max_evaluation_images < 1) {
    throw invalid_argument("evaluation-pictures", "evaluation-pictures: must be at least 1, got ",
                           options.max_evaluation_images);
  }
  data::UserDataOptions reading;
  reading.max_bad_rows = options.max_bad_rows;
  data::UserData rows = read_rows(options.data, options, reading);
  std::optional<data::UserData> evaluation;
  if (!options.eval_data.empty()) evaluation = read_rows(options.eval_data, options, reading);
  data::HeldOutSplit split =
      data::split_rows(std::move(rows), evaluation ? &*evaluation : nullptr, options.eval_fraction);
  report_split(options, split);
  return std::make_unique<UserRowsTask>(options, std::move(split), reading.limits);
}

}  // namespace sf
