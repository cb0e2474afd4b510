// A user's own images and questions, from a file.
//
//   UserData data = load_user_data("pets.jsonl", {.max_bad_rows = 10});
//   for (const BadRow& row : data.bad_rows) warn(row.line, row.reason);
//
// `.jsonl`: one object a line, `image` (a path, relative to the file's folder, or base64, or a data URI), `question`,
// `answer`, and optionally `split` ("train" or "eval") and `kind`, by which scores are told apart; other keys are
// ignored, empty lines too. `.csv` (RFC 4180): base64 image, caption; a first row "image,caption" is a heading. A
// caption answers "describe the picture". Thread-safe: free functions without state.
#pragma once

#include <filesystem>
#include <istream>
#include <string>
#include <vector>

#include "engine/image/image.h"

namespace sf::data {

struct BadRow {
  int line = 0;        // 1-based; of a row over several lines the first
  std::string reason;  // one line, no values from the file longer than a word
};

struct UserQuestion {
  std::string text, answer;
  std::string kind = {};  // empty: none given
  bool held_out = false;  // `split` is "eval"
};

// Rows with the same image are one UserImage.
struct UserImage {
  std::string bytes;          // encoded, as in the file; decodes within the limits
  int width = 0, height = 0;  // upright
  std::vector<UserQuestion> questions;
};

struct UserData {
  std::vector<UserImage> images;
  std::vector<BadRow> bad_rows;
  int num_rows = 0;  // good ones
  ImageLimits limits;
};

struct UserDataOptions {
  int max_bad_rows = 0;  // more than this many: an error
  ImageLimits limits;
  size_t max_text_bytes = 8192;  // of a question or an answer
  size_t max_kind_bytes = 64;
};

// Effect: reads every row and decodes every image once, so that training meets no surprise.
// Errors: InvalidArgument for another extension, no good row, or too many bad ones (the first few named by line);
// Unavailable if the file cannot be read.
UserData load_user_data(const std::filesystem::path& path, const UserDataOptions& options);

// The same from a stream; paths in it are relative to `folder`.
enum class UserDataFormat { kJsonl, kCsv };
UserData read_user_data(std::istream& in, UserDataFormat format, const std::filesystem::path& folder,
                        const UserDataOptions& options);

}  // namespace sf::data
