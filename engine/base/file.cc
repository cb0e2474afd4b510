#include "engine/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/machine_fault.h"
#include "engine/base/yield_to_requests.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

// Some file systems refuse or cut off transfers above 2 GiB.
constexpr size_t kMaxTransfer = size_t{1} << 30;

constexpr size_t kPieceBytes = size_t{1} << 19;  // between two pieces a reader yields (yield_to_requests.h)

[[noreturn]] void fail(const fs::path& path, const std::string& what, int error) {
  throw_errno(concat("file: ", what, " '", path.string(), "'"), error, path.filename().string());
}

FileDescriptor open_or_fail(const fs::path& path, int flags, const std::string& what) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0) return FileDescriptor(fd);
  if (errno == ELOOP)
    throw Error(Code::kInvalidArgument, concat("file: is a symbolic link, '", path.string(), "'"),
                path.filename().string());
  fail(path, what, errno);
}

struct OpenFile {
  FileDescriptor file;
  int64_t size = 0;
};

OpenFile open_to_read(const fs::path& path) {
  // O_NONBLOCK: a FIFO must not block the open; it is refused below.
  FileDescriptor file = open_or_fail(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, "cannot open");
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail(path, "cannot stat", errno);
  if (!S_ISREG(status.st_mode))
    throw Error(Code::kInvalidArgument, concat("file: is no regular file, '", path.string(), "'"),
                path.filename().string());
  return {std::move(file), status.st_size};
}

void check_size(const fs::path& path, int64_t size, int64_t max_bytes) {
  if (size <= max_bytes) return;
  throw Error(Code::kDataLoss,
              concat("file: '", path.string(), "' has ", size, " bytes, at most ", max_bytes, " are allowed"),
              path.filename().string());
}

[[noreturn]] void fail_changed(const fs::path& path) {
  throw Error(Code::kDataLoss, concat("file: '", path.string(), "' changed its size while it was read"),
              path.filename().string());
}

// How many bytes came, fewer than `size` only at the file's end.
size_t read_up_to(int fd, const fs::path& path, char* out, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::read(fd, out + done, std::min(size - done, kMaxTransfer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "cannot read", errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

void sync_fd(int fd, const fs::path& path) {
  // Some file systems cannot sync a directory and say so with EINVAL; they order renames by themselves.
  if (::fsync(fd) != 0 && errno != EINVAL) fail(path, "cannot sync", errno);
}

}  // namespace

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::string read_file(const fs::path& path, int64_t max_bytes) {
  const OpenFile open = open_to_read(path);
  check_size(path, open.size, max_bytes);
  const size_t wanted = static_cast<size_t>(open.size) + 1;  // one more, to see that the file ends there
  std::string bytes;
  bytes.reserve(wanted);
  for (size_t begin = 0; begin == bytes.size() && begin < wanted; begin += kPieceBytes) {
    yield_to_requests();
    bytes.resize(std::min(begin + kPieceBytes, wanted));
    bytes.resize(begin + read_up_to(open.file.get(), path, bytes.data() + begin, bytes.size() - begin));
  }
  if (bytes.size() != static_cast<size_t>(open.size)) fail_changed(path);
  return bytes;
}

int64_t read_pieces(const fs::path& path, int64_t max_bytes, const std::function<void(std::string_view)>& use) {
  const OpenFile open = open_to_read(path);
  check_size(path, open.size, max_bytes);
  std::string piece(1 << 20, '\0');
  int64_t total = 0;
  while (const size_t count = read_up_to(open.file.get(), path, piece.data(), piece.size())) {
    total += static_cast<int64_t>(count);
    if (total > open.size) break;
    use({piece.data(), count});
  }
  if (total != open.size) fail_changed(path);
  return total;
}

RandomAccessFile::RandomAccessFile(const fs::path& path) : path_(path) {
  OpenFile open = open_to_read(path);
  file_ = std::move(open.file);
  size_ = open.size;
}

void RandomAccessFile::read(int64_t begin, int64_t size, char* out) const {
  while (size > 0) {
    const ssize_t count = ::pread(file_.get(), out, std::min(static_cast<size_t>(size), kMaxTransfer), begin);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "cannot read", errno);
    if (count == 0) {
      throw Error(Code::kDataLoss, concat("file: '", path_.string(), "' ends before byte ", begin + size),
                  path_.filename().string());
    }
    out += count;
    begin += count;
    size -= count;
  }
}

OutputFile::OutputFile(const fs::path& path)
    : path_(path), file_(open_or_fail(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, "cannot create")) {}

void OutputFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), std::min(bytes.size(), kMaxTransfer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "cannot write", errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void write_file(const fs::path& path, std::string_view bytes) { OutputFile(path).append(bytes); }

void sync_directory(const fs::path& directory) {
  const FileDescriptor fd = open_or_fail(directory, O_RDONLY | O_DIRECTORY, "cannot open");
  sync_fd(fd.get(), directory);
}

void sync_tree(const fs::path& directory) {
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.is_symlink()) continue;
    if (entry.is_directory()) {
      sync_tree(entry.path());
    } else if (entry.is_regular_file()) {
      const FileDescriptor fd = open_or_fail(entry.path(), O_RDONLY, "cannot open");
      sync_fd(fd.get(), entry.path());
    }
  }
  sync_directory(directory);
}

}  // namespace sf
