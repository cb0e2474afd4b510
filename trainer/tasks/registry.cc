#include "trainer/tasks/registry.h"

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/sort_of_clevr_task.h"
#include "trainer/tasks/user_rows/user_rows_task.h"

namespace sf {

std::unique_ptr<Task> make_task(const TaskOptions& options) {
  if (options.evaluation_images < 0) {
    throw invalid_argument("evaluation-pictures", "evaluation-pictures: must not be negative, got ",
                           options.evaluation_images);
  }
  if (options.data == "sort-of-clevr") {
    if (!options.eval_data.empty()) {
      throw invalid_argument("eval-data", "eval-data: sort-of-clevr draws its own held-out images");
    }
    SortOfClevrOptions clevr;
    clevr.images_per_epoch = options.epoch_images;
    if (options.evaluation_images > 0) clevr.evaluation_images = options.evaluation_images;
    return make_sort_of_clevr_task(clevr);
  }
  UserRowsOptions rows;
  rows.data = options.data;
  rows.eval_data = options.eval_data;
  rows.eval_fraction = options.eval_fraction;
  rows.max_bad_rows = options.max_bad_rows;
  if (options.evaluation_images > 0) rows.max_evaluation_images = options.evaluation_images;
  rows.message = options.message;
  return make_user_rows_task(rows);
}

}  // namespace sf
