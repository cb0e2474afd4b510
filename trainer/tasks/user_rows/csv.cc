#include "trainer/tasks/user_rows/csv.h"

namespace sf::data {
namespace {

// What the reader is in the middle of.
enum class State { kStart, kPlain, kQuoted, kAfterQuote };

}  // namespace

std::optional<CsvRow> CsvReader::next() {
  using Traits = std::istream::traits_type;
  CsvRow row;
  row.line = line_;
  std::string field;
  State state = State::kStart;
  size_t size = 0;
  const auto fail = [&](const char* reason) {
    if (row.error.empty()) row.error = reason;
  };
  for (;;) {
    const auto got = in_.get();
    const bool end = got == Traits::eof();
    const char c = end ? '\n' : Traits::to_char_type(got);
    if (c == '\n' && !end) ++line_;
    if (end && state == State::kQuoted) fail("a quote is not closed");
    if (++size > max_row_bytes_) fail("the row is too long");
    const bool row_ends = end || (c == '\n' && (state != State::kQuoted || !row.error.empty()));
    if (row_ends) {
      if (!field.empty() && field.back() == '\r' && state != State::kAfterQuote) field.pop_back();
      const bool empty = row.fields.empty() && field.empty() && state != State::kAfterQuote && row.error.empty();
      if (empty && end) return std::nullopt;
      if (empty) {
        row.line = line_;
        size = 0;
        state = State::kStart;
        continue;
      }
      row.fields.push_back(std::move(field));
      return row;
    }
    if (!row.error.empty()) continue;
    if (c == ',' && state != State::kQuoted) {
      row.fields.push_back(std::move(field));
      field.clear();
      state = State::kStart;
    } else if (c == '"' && state == State::kStart && field.empty()) {
      state = State::kQuoted;
    } else if (c == '"' && state == State::kQuoted) {
      state = State::kAfterQuote;
    } else if (c == '"' && state == State::kAfterQuote) {
      field += '"';
      state = State::kQuoted;
    } else if (state == State::kAfterQuote && c != '\r') {
      fail("text follows a closing quote");
    } else if (state != State::kAfterQuote) {
      field += c;
      if (state == State::kStart) state = State::kPlain;
    }
  }
}

}  // namespace sf::data
