// A user's own images and questions as a task: trained on one part of the rows, scored by exact match on the other.
//
//   const std::unique_ptr<Task> task = make_user_rows_task({.data = "pets.jsonl", .message = print_line});
//
// Thread-safe: free functions; the task is immutable, and calls `message` only while it is made.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "trainer/task.h"

namespace sf {

struct UserRowsOptions {
  std::string data;             // .jsonl or .csv (user_data.h)
  std::string eval_data = {};   // the held-out rows; empty = of `data`, by held_out.h's rule
  double eval_fraction = 0.05;  // above 0, at most 0.2
  int max_bad_rows = 0;         // of each file
  int max_evaluation_images = 2000;
  std::function<void(const std::string& line)> message = {};  // what was read, and warnings; null: not said
};

// Effect: reads the files and decodes every image once. Errors: those of load_user_data and split_rows; InvalidArgument
// naming the option.
std::unique_ptr<Task> make_user_rows_task(const UserRowsOptions& options);

// 2 x precision x recall / (precision + recall) over the words of both, as SQuAD has it: lower case, cut at white
// space.
double token_f1(const std::string& said, const std::string& expected);

}  // namespace sf
