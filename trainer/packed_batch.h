// One image and many questions in a row: image tokens once, then each question with its answer, positions counted on
// from the image, each question blind to the others. Exact against one row per question, at a third of the tokens.
//
//     row b:  P image tokens | <question> q1 a1 </s> | <question> q2 a2 </s> | padding
//
//   PackedBatch batch = packed_batch(examples, tokenizer, packed_batch_options(config));
//
// Pure functions: the workers of a Prefetcher make batches at the same time.
#pragma once

#include <optional>
#include <vector>

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/text/prompt.h"
#include "trainer/dense_heads.h"
#include "trainer/image_batch.h"

namespace sf {

struct PackedBatch {
  ImageBatch images;
  int64_t image_tokens = 0;  // P
  at::Tensor ids_BL;         // int64; the image token's id in the first P columns
  at::Tensor positions_BL;   // int64; [B, L, 3] of (time, row, column) with options.rope_2d
  at::Tensor mask_BLL;       // f32, 0 or -inf
  at::Tensor real_tokens;    // int64 indices into the B*L flat tokens: all but padding
  // The answers: at flat index loss_index[i] the model must say loss_target[i].
  at::Tensor loss_index, loss_target;
  at::Tensor loss_weight;          // f32
  std::vector<int> loss_question;  // which question entry i belongs to; they are counted row by row
  int num_questions = 0;
  // Multi-label words of each image token: [B, P, options.num_words], 1 where an object of that name is centred; a
  // token of the whole image has the words of all its objects.
  at::Tensor words;
  std::optional<LabelTensors> labels;  // of the encoder's tokens, where the examples have them
};

// Token ids of a task's object_words(). Errors: InvalidArgument naming a word that is not one piece.
std::vector<int> alignment_words(const Tokenizer& tokenizer, const std::vector<std::string>& words);

struct PackedBatchOptions {
  ImageTokenRule image_tokens = {};  // what an image's grid becomes
  int cell_size = 32;                // pixels along one image token's side
  double long_answer_weight = 0.25;  // of each token of an answer of more than two tokens
  bool rope_2d = false;              // decoder.rope is mrope2d
  bool normalize_questions = false;  // as config.json's
  size_t num_words = 0;              // of the task's object_words()
  size_t num_targets = 0;            // of its dense_targets()
};

// The options that the model's configuration decides.
PackedBatchOptions packed_batch_options(const ModelConfig& config);

// Token ids by example and question.
using TokenLists = std::vector<std::vector<std::vector<int>>>;

// Effect: the examples' questions and answers. With `generated`, what the model has said so far instead of the answers,
// and the loss stands on the next token alone: a step of greedy decoding. REQUIRES: all examples share one grid.
PackedBatch packed_batch(const std::vector<Example>& examples, const Tokenizer& tokenizer,
                         const PackedBatchOptions& options, const TokenLists* generated = nullptr);

}  // namespace sf
