#include "trainer/last_state.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/file.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

// STORE/.unpublished-<n>, the highest n counts. A leading dot: no version to any reader of a store.
constexpr std::string_view kPrefix = ".unpublished-";
constexpr const char* kWriting = ".unpublished.tmp";

struct Kept {
  int64_t number = 0;
  fs::path path;
};

// By ascending number.
std::vector<Kept> all_kept(const fs::path& store) {
  std::vector<Kept> kept;
  if (!fs::is_directory(store)) return kept;
  for (const fs::directory_entry& entry : fs::directory_iterator(store)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    Kept one{0, entry.path()};
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, one.number);
    if (parsed.ec == std::errc() && parsed.ptr == end) kept.push_back(std::move(one));
  }
  std::sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) { return a.number < b.number; });
  return kept;
}

}  // namespace

void keep_last_state(const fs::path& store, const std::function<void(const fs::path& folder)>& write) {
  fs::create_directories(store);
  const fs::path writing = store / kWriting;
  fs::remove_all(writing);
  fs::create_directory(writing);
  write(writing);
  sync_tree(writing);
  const std::vector<Kept> older = all_kept(store);
  fs::rename(writing, store / concat(kPrefix, older.empty() ? 1 : older.back().number + 1));
  for (const Kept& kept : older) fs::remove_all(kept.path);
}

std::optional<fs::path> find_last_state(const fs::path& store) {
  const std::vector<Kept> kept = all_kept(store);
  return kept.empty() ? std::nullopt : std::optional(kept.back().path);
}

void forget_last_state(const fs::path& store) {
  for (const Kept& kept : all_kept(store)) fs::remove_all(kept.path);
  fs::remove_all(store / kWriting);
}

}  // namespace sf
