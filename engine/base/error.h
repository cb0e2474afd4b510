// The one exception of the project, with gRPC's canonical codes so that every edge maps it in one function.
//
//   SF_REQUIRE(width > 0, "image: width must be positive, got ", width);   // the caller's fault
//   SF_CHECK(rows == ids.size(), "dispatch: rows do not match");           // ours
//
// Thread-safe: plain values and free functions.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace sf {

// Numbers are gRPC's.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// Why, where one code covers several HTTP statuses (ResourceExhausted: 413 or 429; InvalidArgument: 400 or 415).
enum class Reason { kNone, kTooLarge, kUnsupportedType, kQueueFull, kDraining };

// "too_large" ...; null for kNone.
inline const char* reason_name(Reason reason) {
  switch (reason) {
    case Reason::kTooLarge:
      return "too_large";
    case Reason::kUnsupportedType:
      return "unsupported_type";
    case Reason::kQueueFull:
      return "queue_full";
    case Reason::kDraining:
      return "draining";
    case Reason::kNone:
      break;
  }
  return nullptr;
}

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message, std::string field = "", Reason reason = Reason::kNone)
      : std::runtime_error(message), code_(code), field_(std::move(field)), reason_(reason) {}

  Code code() const { return code_; }
  // The request field, tensor or file at fault; empty where there is none.
  const std::string& field() const { return field_; }
  Reason reason() const { return reason_; }

 private:
  Code code_;
  std::string field_;
  Reason reason_;
};

template <typename... Args>
std::string concat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

template <typename... Args>
Error invalid_argument(std::string field, const Args&... message) {
  return Error(Code::kInvalidArgument, concat(message...), std::move(field));
}

}  // namespace sf

#define SF_REQUIRE(condition, ...)                                                                \
  do {                                                                                            \
    if (!(condition)) throw ::sf::Error(::sf::Code::kInvalidArgument, ::sf::concat(__VA_ARGS__)); \
  } while (false)

#define SF_CHECK(condition, ...)                                                           \
  do {                                                                                     \
    if (!(condition)) throw ::sf::Error(::sf::Code::kInternal, ::sf::concat(__VA_ARGS__)); \
  } while (false)
