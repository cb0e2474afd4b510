// Any exception as an Error: the catch (...) of every frontend.
//
//   try { ... } catch (...) { const Error error = thrown_error(); ... }
//
// Thread-safe: free functions.
#pragma once

#include <exception>

#include "engine/base/error.h"

namespace sf::server {

// What is not our Error becomes Internal; its text is for the log, never for a client.
// REQUIRES: called while an exception is being handled.
inline Error thrown_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(Code::kInternal, error.what());
  } catch (...) {
    return Error(Code::kInternal, "unknown exception");
  }
}

}  // namespace sf::server
