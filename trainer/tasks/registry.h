// The tasks that `--data` can name. The only file of the trainer beside main that knows them.
//
//   const std::unique_ptr<Task> task = make_task({.data = "sort-of-clevr"});
//
// Thread-safe: a free function; the task is immutable.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "trainer/task.h"

namespace sf {

struct TaskOptions {
  std::string data = "sort-of-clevr";  // or a .jsonl or .csv file
  std::string eval_data = {};          // a file's held-out rows
  double eval_fraction = 0.05;         // else so much of its rows
  int max_bad_rows = 0;
  int64_t epoch_images = 10'000;  // generated images that count as one epoch
  int evaluation_images = 0;      // held-out images of an evaluation at most; 0 = the task's default
  std::function<void(const std::string& line)> message = {};
};

// Errors: InvalidArgument naming the option or the file's line at fault; Unavailable for a file that cannot be read.
std::unique_ptr<Task> make_task(const TaskOptions& options);

}  // namespace sf
