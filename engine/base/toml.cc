#include "engine/base/toml.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf {
namespace {

constexpr size_t kMaxTableNames = 16;  // of [a.b.c]; every entry below it carries them

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Reads one line from left to right.
class LineReader {
 public:
  LineReader(std::string_view line, int number) : rest_(line), number_(number) { skip_blanks(); }

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(Code::kInvalidArgument, concat("line ", number_, ": ", reason));
  }

  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
  }
  bool at_end() const { return rest_.empty() || rest_.front() == '#'; }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    skip_blanks();
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(concat("expected '", c, "'"));
  }
  void expect_end() const {
    if (!at_end()) fail(concat("unexpected '", rest_, "'"));
  }

  std::string key() {
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) return quoted();
    const std::string text = take_while(is_bare);
    if (text.empty()) fail("expected a key");
    return text;
  }

  std::vector<std::string> value() {
    if (!take('[')) return {scalar()};
    std::vector<std::string> values;
    while (!take(']')) {
      values.push_back(scalar());
      if (!take(',') && (rest_.empty() || rest_.front() != ']')) fail("expected ',' or ']' (arrays stand on one line)");
    }
    return values;
  }

 private:
  template <typename Predicate>
  std::string take_while(Predicate predicate) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), predicate);
    std::string text(rest_.begin(), end);
    rest_.remove_prefix(text.size());
    skip_blanks();
    return text;
  }

  std::string scalar() {
    if (rest_.empty()) fail("expected a value");
    if (rest_.front() == '"' || rest_.front() == '\'') return quoted();
    std::string text = take_while([](char c) { return is_bare(c) || c == '.' || c == '+'; });
    if (text == "true" || text == "false") return text;
    const bool number = !text.empty() && text.find_first_not_of("+-._0123456789eE") == std::string::npos &&
                        text.find_first_of("0123456789") != std::string::npos;
    if (!number) fail("expected a number, true, false or a quoted string");
    std::erase(text, '_');
    return text;
  }

  std::string quoted() {
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string text;
    while (true) {
      if (rest_.empty()) fail("string does not end on its line");
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == quote) break;
      text += c == '\\' && quote == '"' ? escaped() : c;
    }
    skip_blanks();
    return text;
  }

  char escaped() {
    constexpr std::string_view kNames = "\"\\nt", kMeanings = "\"\\\n\t";
    const size_t at = rest_.empty() ? std::string_view::npos : kNames.find(rest_.front());
    if (at == std::string_view::npos) fail("unknown escape in a string");
    rest_.remove_prefix(1);
    return kMeanings[at];
  }

  std::string_view rest_;
  int number_;
};

std::vector<std::string> read_table(LineReader& line) {
  std::vector<std::string> table;
  do {
    if (table.size() == kMaxTableNames) line.fail(concat("a table of more than ", kMaxTableNames, " names"));
    table.push_back(line.key());
  } while (line.take('.'));
  line.expect(']');
  line.expect_end();
  return table;
}

}  // namespace

std::vector<TomlEntry> parse_toml(std::string_view text) {
  SF_REQUIRE(is_valid_utf8(text), "line 1: text is not valid UTF-8");
  std::vector<TomlEntry> entries;
  std::set<std::pair<std::vector<std::string>, std::string>> seen;
  std::vector<std::string> table;
  for (int number = 1; !text.empty(); ++number) {
    const size_t length = text.find('\n');
    std::string_view content = text.substr(0, length);
    text.remove_prefix(length == std::string_view::npos ? text.size() : length + 1);
    if (content.ends_with('\r')) content.remove_suffix(1);

    LineReader line(content, number);
    if (line.at_end()) continue;
    if (line.take('[')) {
      table = read_table(line);
      continue;
    }
    TomlEntry entry{table, line.key(), {}, number};
    line.expect('=');
    entry.values = line.value();
    line.expect_end();
    if (!seen.insert({table, entry.key}).second) line.fail("key is given twice, '" + entry.key + "'");
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace sf
