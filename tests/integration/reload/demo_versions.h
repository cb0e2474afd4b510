// Versions of the bundled demo model, as a trainer publishes them: the model as it is, and a twin that says "square"
// where it says "circle" and the other way round, so that every answer tells which of the two gave it.
//
//   DemoStore store(folder.path() / "store");   // version 1, the model as it is
//   store.publish(2, Demo::kSwapped);
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

namespace sf::test {

enum class Demo { kPlain, kSwapped };

// "circle" -> "square", "square" -> "circle".
std::string swap_shapes(const std::string& text);

// Thread-safe but for publish(): one thread at a time.
class DemoStore {
 public:
  // Effect: makes the folder, with version 1 in it.
  explicit DemoStore(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  // The bytes of its files by name, the manifest left out. What the golden check asks is sound for either.
  const std::map<std::string, std::string>& files(Demo demo) const { return demo == Demo::kPlain ? plain_ : swapped_; }
  // Effect: a sound version: written out of sight, then renamed, as a trainer does.
  void publish(int64_t version, Demo demo) const;
  // Effect: its two halves: the work of the trainer, and the rename by which the server sees it.
  void write_out_of_sight(int64_t version, Demo demo) const;
  void show(int64_t version) const;
  // Effect: the same with `score` in the manifest, and `damage` done to the files before the manifest is written
  // (`before`) or afterwards (`after`).
  using Damage = std::function<void(const std::filesystem::path&)>;
  void publish_damaged(int64_t version, Demo demo, const Damage& before, const Damage& after = {},
                       double score = kScore) const;

 private:
  static constexpr double kScore = 0.9;

  void write(int64_t version, Demo demo, const Damage& before, const Damage& after, double score) const;

  std::filesystem::path root_;
  std::map<std::string, std::string> plain_, swapped_;
};

}  // namespace sf::test
