#include "server/http/body_reader.h"

#include <algorithm>
#include <cctype>

#include "engine/base/error.h"

namespace sf::server {

BodyReader::BodyReader(BodyLimits limits, const httplib::Request& request, const httplib::ContentReader& reader)
    : limits_(limits),
      request_(request),
      reader_(reader),
      deadline_(std::chrono::steady_clock::now() + std::chrono::seconds(limits.timeout_s)) {}

bool BodyReader::admit(size_t size) {
  num_bytes_ += size;
  timed_out_ = std::chrono::steady_clock::now() > deadline_;
  return !timed_out_;
}

void BodyReader::throw_failure() const {
  if (timed_out_) {
    throw Error(Code::kDeadlineExceeded, concat("the body took longer than ", limits_.timeout_s, " s to arrive"));
  }
  if (too_many_parts_) throw invalid_argument("", "the form has more than ", limits_.max_parts, " parts");
  if (num_bytes_ > limits_.max_bytes) {
    throw Error(Code::kResourceExhausted, concat("the body is larger than ", limits_.max_bytes, " bytes"), "",
                Reason::kTooLarge);
  }
  if (request_.is_connection_closed()) throw Error(Code::kCancelled, "the client left while it sent the body");
  throw invalid_argument("", "the body ended early or is malformed");
}

std::string BodyReader::read_whole() {
  std::string text;
  const bool whole = reader_([&](const char* data, size_t size) {
    if (!admit(size)) return false;
    // Above the cap the rest is counted and dropped, so that the client gets to read its 413.
    if (num_bytes_ <= limits_.max_bytes) text.append(data, size);
    return true;
  });
  if (!whole || num_bytes_ > limits_.max_bytes) throw_failure();
  return text;
}

std::vector<FormPart> BodyReader::read_form() {
  std::vector<FormPart> parts;
  const bool whole = reader_(
      [&](const httplib::FormData& part) {
        too_many_parts_ = parts.size() == limits_.max_parts;
        if (too_many_parts_ || !admit(part.name.size())) return false;
        parts.push_back({part.name, ""});
        return true;
      },
      [&](const char* data, size_t size) {
        if (!admit(size)) return false;
        if (num_bytes_ <= limits_.max_bytes) parts.back().content.append(data, size);
        return true;
      });
  if (!whole || num_bytes_ > limits_.max_bytes) throw_failure();
  return parts;
}

bool has_media_type(const httplib::Request& request, std::string_view expected) {
  std::string type = request.get_header_value("Content-Type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && std::isspace(static_cast<unsigned char>(type.back()))) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type == expected;
}

}  // namespace sf::server
