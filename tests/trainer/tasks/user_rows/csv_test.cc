#include "trainer/tasks/user_rows/csv.h"

#include <gtest/gtest.h>

#include <sstream>

namespace sf::data {
namespace {

std::vector<CsvRow> rows_of(const std::string& text, size_t max_row_bytes = 1000) {
  std::istringstream in(text);
  CsvReader reader(in, max_row_bytes);
  std::vector<CsvRow> rows;
  while (std::optional<CsvRow> row = reader.next()) rows.push_back(*row);
  return rows;
}

using Fields = std::vector<std::string>;

TEST(CsvTest, SplitsPlainAndQuotedFields) {
  const auto rows = rows_of("a,b\r\n\"c,\"\"d\"\"\",\"e\nf\"\n,\nlast");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].fields, (Fields{"a", "b"}));
  EXPECT_EQ(rows[1].fields, (Fields{"c,\"d\"", "e\nf"}));
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_EQ(rows[2].fields, (Fields{"", ""}));
  EXPECT_EQ(rows[2].line, 4);
  EXPECT_EQ(rows[3].fields, (Fields{"last"}));
}

TEST(CsvTest, EmptyLinesAndAnEmptyFileHaveNoRows) {
  EXPECT_TRUE(rows_of("").empty());
  EXPECT_TRUE(rows_of("\n\r\n\n").empty());
  const auto rows = rows_of("\n\na\n");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].line, 3);
  EXPECT_EQ(rows_of("\"\"").size(), 1u);
}

TEST(CsvTest, MalformedRowsDoNotTakeTheNextOneAlong) {
  const auto rows = rows_of("\"a\"b,c\nd,e\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FALSE(rows[0].error.empty());
  EXPECT_EQ(rows[1].fields, (Fields{"d", "e"}));
  EXPECT_FALSE(rows_of("a,\"never closed\nx").at(0).error.empty());
}

TEST(CsvTest, LongRowsEndAtTheirLine) {
  const auto rows = rows_of(std::string(50, 'x') + "\nshort\n", 20);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FALSE(rows[0].error.empty());
  EXPECT_EQ(rows[1].fields, (Fields{"short"}));
}

}  // namespace
}  // namespace sf::data
