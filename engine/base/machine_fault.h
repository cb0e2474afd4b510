// What an errno is about: the machine (too many open files, an I/O error, a stale handle, a permission, no memory) or
// the thing that was asked for (no such file, a symbolic link). The first may pass and is worth another try; it is
// never a verdict about a file's content.
//
//   try {
//     if (::read(fd, out, size) < 0) throw_errno("file: cannot read 'a'", errno, "a");
//   } catch (const std::exception& error) {
//     if (is_machine_fault(error)) try_again_later();
//   }
//
// Thread-safe: free functions.
#pragma once

#include <exception>
#include <string>
#include <system_error>

#include "engine/base/error.h"

namespace sf {

// An error of the machine. Caught as an Error it says as much as any other.
class MachineFault final : public Error {
 public:
  using Error::Error;
};

// Whether this errno is the machine's: all but those that say what stands (or does not stand) at a path.
bool is_machine_errno(int error);

// Effect: throws `message` and the errno's own text. The code is NotFound (nothing there), InvalidArgument (a link, a
// directory or a name that cannot be), PermissionDenied, ResourceExhausted (files, memory, disk) or Unavailable; a
// MachineFault where the errno is the machine's.
[[noreturn]] void throw_errno(const std::string& message, int error, const std::string& field = "");

// Whether a MachineFault was thrown, or a std::system_error (files, threads) whose errno is the machine's. Out of
// memory does not count: it has a treatment of its own.
bool is_machine_fault(const std::exception& error);

// Effect: throws the same error with `prefix` before its message; code, field, reason and kind stay.
[[noreturn]] void throw_prefixed(const std::string& prefix, const Error& error);

}  // namespace sf
