// Whole files, and what it takes for them to survive a power cut.
//
//   std::string config = read_file(dir / "config.json", 1 << 20);
//   write_file(dir / "a.json", text);
//   sync_tree(dir);
//   rename(dir, final_dir);
//   sync_directory(final_dir.parent_path());
//
// Thread-safe: the free functions and RandomAccessFile. A FileDescriptor and an OutputFile: one thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
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
// Errors: NotFound; InvalidArgument for what is no regular file; DataLoss where the file is over `max_bytes` or changes
// its size while it is read. A fault of the machine is none of these (machine_fault.h).
std::string read_file(const std::filesystem::path& path, int64_t max_bytes);

// Effect: the same, a MiB at a time, so that a large file takes no memory; returns its size. Errors: as read_file.
int64_t read_pieces(const std::filesystem::path& path, int64_t max_bytes,
                    const std::function<void(std::string_view)>& use);

// A file whose parts are read where they lie, for what is larger than memory. Thread-safe; movable.
class RandomAccessFile {
 public:
  // Errors: as read_file.
  explicit RandomAccessFile(const std::filesystem::path& path);
  int64_t size() const { return size_; }
  int descriptor() const { return file_.get(); }
  // Effect: fills `out` with bytes [begin, begin + size). Errors: DataLoss where the file ends before that.
  void read(int64_t begin, int64_t size, char* out) const;

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  int64_t size_ = 0;
};

// A new file that grows. One thread only.
class OutputFile {
 public:
  // Effect: creates or replaces the file. Errors: those of throw_errno() with the reason, here and in append().
  explicit OutputFile(const std::filesystem::path& path);
  void append(std::string_view bytes);

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
};

// Effect: creates or replaces a file; not atomic, not synced. Errors: those of throw_errno().
void write_file(const std::filesystem::path& path, std::string_view bytes);

// Effect: fsync of a directory, and of every file and directory below it. Errors: those of throw_errno().
void sync_directory(const std::filesystem::path& directory);
void sync_tree(const std::filesystem::path& directory);

}  // namespace sf
