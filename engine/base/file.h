// Whole files, and what it takes for them to survive a power cut.
//
//   std::string config = read_file(dir / "config.json", 1 << 20);
//   write_file(dir / "a.json", text);  sync_tree(dir);  rename(dir, final);  sync_directory(parent);
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sf {

// An open file descriptor. Movable; closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Effect: reads all of a regular file that is no symbolic link. Blocks. The bytes are this process's own from then on.
// Errors: NotFound; InvalidArgument for what is no regular file; DataLoss where the file is over `max_bytes`, changes
// its size while it is read, or cannot be read.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes);

// Effect: creates or replaces a file; not atomic, not synced. Errors: Unavailable with the reason.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// Effect: fsync of a directory, and of every file and directory below it. Errors: Unavailable with the reason.
void sync_directory(const std::filesystem::path& directory);
void sync_tree(const std::filesystem::path& directory);

}  // namespace sf
