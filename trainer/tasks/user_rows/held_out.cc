#include "trainer/tasks/user_rows/held_out.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/error.h"
#include "engine/checkpoint/sha256.h"

namespace sf::data {
namespace {

constexpr int64_t kMinRows = 32;
constexpr int64_t kMaxShare = 5;  // one row in so many

using ByDigest = std::map<std::string, UserImage>;  // sha256 of the bytes -> the image

ByDigest by_digest(std::vector<UserImage> images) {
  ByDigest sorted;
  for (UserImage& image : images) {
    std::string digest = sha256_hex(image.bytes);
    sorted.emplace(std::move(digest), std::move(image));
  }
  return sorted;
}

bool is_marked(const UserImage& image) {
  return std::any_of(image.questions.begin(), image.questions.end(), [](const UserQuestion& q) { return q.held_out; });
}

int64_t count_rows(const std::vector<UserImage>& images) {
  int64_t rows = 0;
  for (const UserImage& image : images) rows += static_cast<int64_t>(image.questions.size());
  return rows;
}

// The marked rows of `image`, which is held out.
UserImage marked_part(UserImage image, int64_t& dropped_rows) {
  dropped_rows += std::erase_if(image.questions, [](const UserQuestion& question) { return !question.held_out; });
  return image;
}

void split_by_marks(ByDigest images, HeldOutSplit& split) {
  for (auto& [digest, image] : images) {
    if (is_marked(image)) {
      split.held_out.push_back(marked_part(std::move(image), split.dropped_rows));
    } else {
      split.training.push_back(std::move(image));
    }
  }
}

// `images` without what `evaluation` holds, and without rows marked for another evaluation.
void split_by_file(ByDigest images, const ByDigest& evaluation, HeldOutSplit& split) {
  for (const auto& [digest, image] : evaluation) split.held_out.push_back(image);
  for (auto& [digest, image] : images) {
    const auto all = static_cast<int64_t>(image.questions.size());
    const bool elsewhere = evaluation.contains(digest) || is_marked(image);
    split.dropped_rows += elsewhere ? all : 0;
    if (!elsewhere) split.training.push_back(std::move(image));
  }
}

void split_by_hash(ByDigest images, int64_t num_rows, double fraction, HeldOutSplit& split) {
  const int64_t most = num_rows / kMaxShare;
  const auto share = static_cast<int64_t>(std::ceil(fraction * static_cast<double>(num_rows)));
  const int64_t wanted = std::min(std::max(kMinRows, share), most);
  int64_t taken = 0;
  for (auto& [digest, image] : images) {
    const auto rows = static_cast<int64_t>(image.questions.size());
    if (split.held_out.empty() || (taken < wanted && taken + rows <= most)) {
      taken += rows;
      split.held_out.push_back(std::move(image));
    } else {
      split.training.push_back(std::move(image));
    }
  }
}

}  // namespace

HeldOutSplit split_rows(UserData data, const UserData* evaluation, double fraction) {
  HeldOutSplit split;
  const bool marked = std::any_of(data.images.begin(), data.images.end(), is_marked);
  const int64_t num_rows = count_rows(data.images);
  ByDigest images = by_digest(std::move(data.images));
  if (evaluation) {
    split_by_file(std::move(images), by_digest(evaluation->images), split);
  } else if (marked) {
    split_by_marks(std::move(images), split);
  } else {
    split_by_hash(std::move(images), num_rows, fraction, split);
  }
  split.training_rows = count_rows(split.training);
  split.held_out_rows = count_rows(split.held_out);
  if (split.training.empty()) {
    throw invalid_argument(
        "data", "data: ", split.held_out_rows,
        " rows are held out and none is left to train on; --eval-data names held-out rows of their own");
  }
  return split;
}

}  // namespace sf::data
