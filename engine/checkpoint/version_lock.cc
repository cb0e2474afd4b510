#include "engine/checkpoint/version_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/base/error.h"

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

FileDescriptor open_and_wait(const fs::path& directory, int operation) {
  FileDescriptor fd = open_directory(directory);
  if (!fd) throw Error(Code::kNotFound, concat("store: cannot open the directory '", directory.string(), "'"));
  if (!lock(fd.get(), operation)) {
    throw Error(Code::kUnavailable,
                concat("store: cannot lock '", directory.string(), "': ", std::generic_category().message(errno)));
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
