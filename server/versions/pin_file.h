// Which version an operator pinned, in a file, so that a restart (and every other server on the same store) keeps to
// it: one line with the number. No file, no pin.
//
//   PinFile pin(store / ".pinned");
//   pin.write(3);
//   std::optional<int64_t> pinned = pin.read();
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sf::server {

// One thread only.
class PinFile {
 public:
  // An empty path: nothing can be pinned.
  explicit PinFile(std::filesystem::path path = {}) : path_(std::move(path)) {}

  bool is_kept() const { return !path_.empty(); }
  // Errors: DataLoss for a file that holds no version; a fault of the machine as such: there may be a pin in the file.
  std::optional<int64_t> read() const;
  // Effect: after it returns the pin survives a power cut. Errors: FailedPrecondition where there is no place for it or
  // the place cannot be written.
  void write(int64_t version) const;
  void clear() const;

 private:
  std::filesystem::path path_;
};

}  // namespace sf::server
