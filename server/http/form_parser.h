// multipart/form-data (RFC 7578) out of a stream of bytes: pieces of any size go in, the parts come out. Linear in the
// bytes, whatever they are; beside the parts it keeps one header line.
//
//   FormParser parser(form_boundary(content_type), {.max_parts = 128});
//   while (receive(piece)) parser.feed(piece);
//   std::vector<FormPart> parts = parser.finish();
//
// One thread only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

struct FormPart {
  std::string name;
  std::string content;
};

struct FormLimits {
  size_t max_parts = 128;
  size_t max_header_bytes = 16 << 10;  // of one part
};

// The boundary that a Content-Type names. Errors: InvalidArgument (field Content-Type) unless it is 1 to 70 printable
// characters.
std::string form_boundary(std::string_view content_type);

class FormParser {
 public:
  explicit FormParser(const std::string& boundary, FormLimits limits = {});

  // Errors of both: InvalidArgument for a limit that is exceeded, a part without a name, broken framing.
  void feed(std::string_view piece);
  // In the order sent, with or without file names.
  std::vector<FormPart> finish();

  // Those that are complete, and the one that is being read.
  const std::vector<FormPart>& parts() const { return parts_; }

 private:
  enum class State { kPreamble, kContent, kBehindDelimiter, kHeader, kEpilogue };

  const char* read_content(const char* at, const char* end);
  const char* read_line(const char* at, const char* end);
  void delimiter_ended();
  void line_ended();
  void begin_part();

  const std::string delimiter_;  // CRLF, "--", boundary
  const FormLimits limits_;
  State state_ = State::kPreamble;
  size_t num_matched_ = 2;  // of the delimiter's bytes; the line end before the first one is taken as read
  std::string line_;        // of a header, or what follows a delimiter
  size_t num_header_bytes_ = 0;
  bool has_name_ = false;
  std::string name_;
  std::vector<FormPart> parts_;
};

}  // namespace sf::server
