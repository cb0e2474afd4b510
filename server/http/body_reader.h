// Reads a POST body under a byte cap, a deadline and a budget that all bodies share, whatever the headers promise.
//
//   BodyReader body({.max_bytes = 20 << 20, .timeout_s = 30}, request, reader);
//   nlohmann::json object = body.read_json({.max_depth = 32, .max_values = 65536});
//   std::vector<FormPart> parts = body.read_form();
//
// What is read is parsed as it comes, 64 KiB at most at a time: no body lies in memory beside what was made of it, and
// the deadline, a client that leaves (the next read fails) and the server's stop end it wherever it is.
//
// One thread only: a reader is of one body.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json_builder.h"
#include "server/http/form_parser.h"
#include "server/wire/byte_budget.h"

namespace sf::server {

struct BodyLimits {
  size_t max_bytes = 0;
  int timeout_s = 30;
  size_t max_parts = 128;                   // of a form
  std::shared_ptr<ByteBudget> budget = {};  // of bodies that are being read, beyond kFreeBodyBytes each; null: none
  std::function<bool()> is_stopping = {};   // the server's stop ends the reading; null: nothing does
};

// What a body may hold without asking the budget: large bodies do not keep small ones out.
inline constexpr size_t kFreeBodyBytes = 1 << 20;

struct HttpOptions;
class Listener;
// Those of the routes of the public port. REQUIRES: `listener` outlives them.
BodyLimits body_limits(const HttpOptions& options, const Listener& listener);

// Whether Content-Type is `expected`, parameters and case aside.
bool has_media_type(const httplib::Request& request, std::string_view expected);

// One body, one thread. Exactly one of the reads may be called.
// Errors of all: ResourceExhausted/kTooLarge above the cap; ResourceExhausted/kQueueFull while other large bodies hold
// the budget; DeadlineExceeded for a body that trickles in too slowly, or whose own timeout passed; Cancelled if the
// client left in the middle; Unavailable if the server stops; InvalidArgument for broken framing or content. But for
// the deadlines, a body that is refused is still taken to its end, into nothing, so that the client gets to read why.
class BodyReader {
 public:
  BodyReader(BodyLimits limits, const httplib::Request& request, const httplib::ContentReader& reader);

  std::string read_whole();
  // One object. Its `timeout_ms`, or KServe's `timeout`, ends the reading too.
  nlohmann::json read_json(JsonLimits limits);
  // The same from the first `json_bytes` bytes; what follows is appended to `binary`.
  // Errors: InvalidArgument (Inference-Header-Content-Length) if the body is shorter.
  nlohmann::json read_json(JsonLimits limits, size_t json_bytes, std::string& binary);
  // multipart/form-data, with or without file names, in the order sent.
  std::vector<FormPart> read_form();
  // Effect: reads into nothing.
  void discard();
  // Read by now.
  size_t num_bytes() const { return num_bytes_; }

 private:
  using Take = std::function<void(std::string_view piece)>;
  void read(const Take& take);
  // False stops the reading.
  bool take_piece(std::string_view piece, const Take& take);
  // Errors: those of the deadlines and of the server's stop.
  void check_time() const;
  void set_timeout(int64_t timeout_ms);

  const BodyLimits limits_;
  const httplib::Request& request_;
  const httplib::ContentReader& reader_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();  // the request's own
  ByteBudget::Lease lease_;
  size_t num_bytes_ = 0;
  std::exception_ptr failure_;
  bool is_ended_ = false;  // before the body was
};

}  // namespace sf::server
