#include "engine/checkpoint/version_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/machine_fault.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

FileDescriptor open_directory(const fs::path& directory) {
  return FileDescriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// Whether `directory` still names what `fd` holds: it may have been renamed away while we waited for its lock.
bool still_there(const fs::path& directory, int fd) {
  struct stat held, named;
  return ::fstat(fd, &held) == 0 && ::stat(directory.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

bool lock(int fd, int operation) {
  int result;
  do {
    result = ::flock(fd, operation);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

// What flock() says of a file system without locks.
bool has_no_locks(int error) {
  return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL || error == EBADF;
}

FileDescriptor open_and_wait(const fs::path& directory, int operation) {
  FileDescriptor fd = open_directory(directory);
  if (!fd) throw_errno(concat("store: cannot open the directory '", directory.string(), "'"), errno);
  if (!lock(fd.get(), operation)) {
    const std::string message = concat("store: cannot lock '", directory.string(), "'");
    if (has_no_locks(errno)) {
      throw Error(Code::kUnimplemented, concat(message, ": ", std::generic_category().message(errno)));
    }
    throw_errno(message, errno);
  }
  if (!still_there(directory, fd.get()))
    throw Error(Code::kNotFound, concat("store: was removed, '", directory.string(), "'"));
  return fd;
}

}  // namespace

VersionLock VersionLock::hold(const fs::path& directory) { return VersionLock(open_and_wait(directory, LOCK_SH)); }

VersionLock VersionLock::exclusive(const fs::path& directory) { return VersionLock(open_and_wait(directory, LOCK_EX)); }

std::optional<VersionLock> VersionLock::try_exclusive(const fs::path& directory) {
  FileDescriptor fd = open_directory(directory);
  if (!fd || !lock(fd.get(), LOCK_EX | LOCK_NB) || !still_there(directory, fd.get())) return std::nullopt;
  return VersionLock(std::move(fd));
}

}  // namespace sf
