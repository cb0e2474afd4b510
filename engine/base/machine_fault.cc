#include "engine/base/machine_fault.h"

#include <cerrno>

namespace sf {
namespace {

Code code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case ELOOP:
    case EISDIR:
    case ENAMETOOLONG:
      return Code::kInvalidArgument;
    case EACCES:
    case EPERM:
      return Code::kPermissionDenied;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case EDQUOT:
      return Code::kResourceExhausted;
    default:
      return Code::kUnavailable;
  }
}

}  // namespace

bool is_machine_errno(int error) {
  const Code code = code_of(error);
  return error != 0 && code != Code::kNotFound && code != Code::kInvalidArgument;
}

void throw_errno(const std::string& message, int error, const std::string& field) {
  const std::string text = concat(message, ": ", std::generic_category().message(error));
  if (is_machine_errno(error)) throw MachineFault(code_of(error), text, field);
  throw Error(code_of(error), text, field);
}

bool is_machine_fault(const std::exception& error) {
  if (dynamic_cast<const MachineFault*>(&error) != nullptr) return true;
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system == nullptr) return false;
  const std::error_category& category = system->code().category();
  if (category != std::generic_category() && category != std::system_category()) return false;
  return is_machine_errno(system->code().value());
}

void throw_prefixed(const std::string& prefix, const Error& error) {
  const std::string text = prefix + error.what();
  if (is_machine_fault(error)) throw MachineFault(error.code(), text, error.field(), error.reason());
  throw Error(error.code(), text, error.field(), error.reason());
}

}  // namespace sf
