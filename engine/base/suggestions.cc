#include "engine/base/suggestions.h"

#include <algorithm>
#include <cstdlib>

namespace sf {
namespace {

constexpr size_t kMaxWordBytes = 64;  // longer than any flag or command
constexpr int kMaxEdits = 3;

}  // namespace

int edit_distance(const std::string& a, const std::string& b, int limit) {
  const int rows = static_cast<int>(a.size()), columns = static_cast<int>(b.size());
  if (std::abs(rows - columns) > limit) return limit + 1;
  // Optimal string alignment; the last three rows of the table.
  std::vector<int> before(columns + 1), last(columns + 1), row(columns + 1);
  for (int j = 0; j <= columns; ++j) last[j] = j;
  for (int i = 1; i <= rows; ++i) {
    row[0] = i;
    for (int j = 1; j <= columns; ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return std::min(last[columns], limit + 1);
}

std::string nearest_word(const std::string& mistyped, const std::vector<std::string>& words) {
  if (mistyped.size() > kMaxWordBytes) return "";
  const auto letters = static_cast<int>(mistyped.size() - std::min(mistyped.find_first_not_of('-'), mistyped.size()));
  int limit = std::clamp(letters / 3, 1, kMaxEdits);
  std::string nearest;
  for (const std::string& word : words) {
    if (word.size() > kMaxWordBytes) continue;
    const int distance = edit_distance(mistyped, word, limit);
    if (distance > limit || distance == 0) continue;
    nearest = word;
    limit = distance - 1;
    if (limit == 0) break;
  }
  return nearest;
}

}  // namespace sf
