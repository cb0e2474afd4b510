#include "server/http/body_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "server/http/header_parameter.h"
#include "server/http/http_call.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"
#include "server/wire/json_parse.h"

namespace sf::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPieceBytes = 64 << 10;
constexpr const char* kContentType = "Content-Type";
constexpr const char* kJsonBytesHeader = "Inference-Header-Content-Length";

// While it lives the library sees no Content-Type, and hands out a form's bytes as they are: its own parser of forms
// is chosen by that header, and fails if the caller meant to read another way. The request is the library's own object,
// const for handlers only.
class HiddenContentType {
 public:
  explicit HiddenContentType(const httplib::Request& request)
      : headers_(const_cast<httplib::Headers&>(request.headers)) {
    const auto [first, last] = headers_.equal_range(kContentType);
    hidden_.assign(first, last);
    headers_.erase(kContentType);
  }
  ~HiddenContentType() {
    for (const auto& [name, value] : hidden_) headers_.emplace(name, value);
  }
  HiddenContentType(const HiddenContentType&) = delete;
  HiddenContentType& operator=(const HiddenContentType&) = delete;

 private:
  httplib::Headers& headers_;
  std::vector<std::pair<std::string, std::string>> hidden_;
};

// The time that a body gives its request, as far as it was read: `timeout_ms`, or KServe's `timeout` in microseconds.
// What is out of range is refused later, by the API whose field it is.
std::optional<int64_t> timeout_ms_of(const nlohmann::json& body) {
  constexpr int64_t kMaxMs = int64_t{24} * 3600 * 1000;
  const auto positive = [](const nlohmann::json& object, const char* name) -> std::optional<int64_t> {
    const nlohmann::json* const value = object.is_object() ? find_value(object, name) : nullptr;
    if (value == nullptr || !value->is_number_unsigned() || *value == 0) return std::nullopt;
    return static_cast<int64_t>(std::min<uint64_t>(value->get<uint64_t>(), kMaxMs * 1000));
  };
  if (const auto milliseconds = positive(body, "timeout_ms")) return std::min(*milliseconds, kMaxMs);
  std::optional<int64_t> microseconds = positive(body, "timeout");
  if (!microseconds && body.is_object() && body.contains("parameters")) {
    microseconds = positive(body["parameters"], "timeout");
  }
  if (microseconds) return *microseconds / 1000 + 1;
  return std::nullopt;
}

}  // namespace

BodyReader::BodyReader(BodyLimits limits, const httplib::Request& request, const httplib::ContentReader& reader)
    : limits_(std::move(limits)), request_(request), reader_(reader), lease_(limits_.budget.get()) {}

void BodyReader::set_timeout(int64_t timeout_ms) { deadline_ = start_ + std::chrono::milliseconds(timeout_ms); }

void BodyReader::check_time() const {
  const Clock::time_point now = Clock::now();
  if (now > start_ + std::chrono::seconds(limits_.timeout_s)) {
    throw Error(Code::kDeadlineExceeded, concat("the body took longer than ", limits_.timeout_s, " s to arrive"));
  }
  if (now > deadline_) {
    throw Error(Code::kDeadlineExceeded, "the request's deadline passed while its body was read");
  }
  if (limits_.is_stopping && limits_.is_stopping()) throw shutting_down();
}

bool BodyReader::take_piece(std::string_view piece, const Take& take) {
  num_bytes_ += piece.size();
  try {
    check_time();
  } catch (...) {
    failure_ = std::current_exception();
    is_ended_ = true;
    return false;
  }
  // Above the cap, or after an error, the rest is counted and dropped, so that the client gets to read its answer.
  if (failure_ || num_bytes_ > limits_.max_bytes) return true;
  try {
    if (num_bytes_ > kFreeBodyBytes && !lease_.grow(std::min(piece.size(), num_bytes_ - kFreeBodyBytes))) {
      throw Error(Code::kResourceExhausted, "too many large bodies are being read, try again later", "",
                  Reason::kQueueFull);
    }
    take(piece);
  } catch (...) {
    failure_ = std::current_exception();
    lease_.release();
  }
  return true;
}

void BodyReader::read(const Take& take) {
  const HiddenContentType hidden(request_);
  const bool whole = reader_([&](const char* data, size_t size) {
    for (std::string_view rest(data, size); !rest.empty();) {
      const std::string_view piece = rest.substr(0, kPieceBytes);
      if (!take_piece(piece, take)) return false;
      rest.remove_prefix(piece.size());
    }
    return true;
  });
  if (num_bytes_ > limits_.max_bytes && !is_ended_) {
    throw Error(Code::kResourceExhausted, concat("the body is larger than ", limits_.max_bytes, " bytes"), "",
                Reason::kTooLarge);
  }
  if (failure_) std::rethrow_exception(failure_);
  if (whole) return;
  if (request_.is_connection_closed()) throw Error(Code::kCancelled, "the client left while it sent the body");
  throw invalid_argument("", "the body ended early or is malformed");
}

std::string BodyReader::read_whole() {
  std::string text;
  read([&](std::string_view piece) { text.append(piece); });
  return text;
}

nlohmann::json BodyReader::read_json(JsonLimits limits) {
  JsonBuilder builder("body", limits);
  read([&](std::string_view piece) {
    builder.feed(piece);
    if (const auto timeout_ms = timeout_ms_of(builder.so_far())) set_timeout(*timeout_ms);
  });
  return finish_json_object(builder);
}

nlohmann::json BodyReader::read_json(JsonLimits limits, size_t json_bytes, std::string& binary) {
  JsonBuilder builder("body", limits);
  size_t left = json_bytes;
  read([&](std::string_view piece) {
    const std::string_view text = piece.substr(0, left);
    left -= text.size();
    builder.feed(text);
    binary.append(piece.substr(text.size()));
    if (const auto timeout_ms = timeout_ms_of(builder.so_far())) set_timeout(*timeout_ms);
  });
  if (left > 0) {
    throw invalid_argument(kJsonBytesHeader, kJsonBytesHeader, ": is ", json_bytes, ", the body has ", num_bytes_,
                           " bytes");
  }
  return finish_json_object(builder);
}

std::vector<FormPart> BodyReader::read_form() {
  const std::string content_type = request_.get_header_value(kContentType);
  std::optional<FormParser> parser;  // made by the first piece: a boundary that is none is a body that is refused
  read([&](std::string_view piece) {
    if (!parser) parser.emplace(form_boundary(content_type), FormLimits{.max_parts = limits_.max_parts});
    parser->feed(piece);
  });
  if (!parser) parser.emplace(form_boundary(content_type));
  return parser->finish();
}

void BodyReader::discard() {
  read([](std::string_view) {});
}

BodyLimits body_limits(const HttpOptions& options, const Listener& listener) {
  return {.max_bytes = options.limits.max_body_bytes,
          .timeout_s = options.body_timeout_s,
          .budget = options.body_budget,
          .is_stopping = [&listener] { return listener.stopping(); }};
}

bool has_media_type(const httplib::Request& request, std::string_view expected) {
  return header_value_name(request.get_header_value(kContentType)) == expected;
}

}  // namespace sf::server
