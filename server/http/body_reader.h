// Reads a POST body under a byte cap and a deadline, whatever the headers promise.
//
//   BodyReader body({.max_bytes = 20 << 20, .timeout_s = 30}, request, reader);
//   std::string text = body.read_whole();
//   std::vector<FormPart> parts = body.read_form();
#pragma once

#include <httplib.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

struct BodyLimits {
  size_t max_bytes = 0;
  int timeout_s = 30;
  size_t max_parts = 128;  // of a form
};

// Whether Content-Type is `expected`, parameters and case aside.
bool has_media_type(const httplib::Request& request, std::string_view expected);

struct FormPart {
  std::string name;
  std::string content;
};

// One body, one thread. Exactly one of the two reads may be called.
// Errors of both: ResourceExhausted/kTooLarge above the cap; DeadlineExceeded for a body that trickles in too slowly;
// Cancelled if the client left in the middle; InvalidArgument for broken framing or multipart.
class BodyReader {
 public:
  BodyReader(BodyLimits limits, const httplib::Request& request, const httplib::ContentReader& reader);

  std::string read_whole();
  // multipart/form-data, with or without file names, in the order sent.
  std::vector<FormPart> read_form();
  size_t num_bytes() const { return num_bytes_; }

 private:
  // Counts bytes; false stops the reading.
  bool admit(size_t size);
  [[noreturn]] void throw_failure() const;

  const BodyLimits limits_;
  const httplib::Request& request_;
  const httplib::ContentReader& reader_;
  const std::chrono::steady_clock::time_point deadline_;
  size_t num_bytes_ = 0;
  bool timed_out_ = false;
  bool too_many_parts_ = false;
};

}  // namespace sf::server
