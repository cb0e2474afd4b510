// RFC 4180 rows: quoted fields may hold commas, doubled quotes and line breaks.
//
//   CsvReader reader(stream);
//   while (std::optional<CsvRow> row = reader.next()) use(row->line, row->fields);
//
// One thread only.
#pragma once

#include <istream>
#include <optional>
#include <string>
#include <vector>

namespace sf::data {

struct CsvRow {
  int line = 0;  // where it begins, 1-based
  std::vector<std::string> fields;
  std::string error;  // not empty: the row is malformed
};

class CsvReader {
 public:
  // A row of more than `max_row_bytes` is malformed; its rest is skipped up to the end of its line.
  explicit CsvReader(std::istream& in, size_t max_row_bytes = size_t{32} << 20)
      : in_(in), max_row_bytes_(max_row_bytes) {}
  // Nothing at the end of the stream. Empty lines are skipped.
  std::optional<CsvRow> next();

 private:
  std::istream& in_;
  size_t max_row_bytes_;
  int line_ = 1;
};

}  // namespace sf::data
