// Two types of one name in one namespace are one type to the linker: it keeps one of their destructors for both, and no
// compiler sees it (the one-definition rule). Here every header's types are compared by name.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "tests/support/paths.h"

namespace sf::architecture {
namespace {

namespace fs = std::filesystem;

TEST(TypeNamesTest, NoTwoHeadersDefineTheSameType) {
  static const std::regex space(R"(^namespace ([\w:]+) \{)"),
      type(R"(^(?:class|struct|enum class) (?:SF_\w+(?:\(.*?\))? )?(\w+)[^;]*$)");
  std::map<std::string, std::string> header_of;
  for (const char* room : {"engine", "server", "client", "trainer", "tools", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(test::source_dir()) / room)) {
      if (entry.path().extension() != ".h") continue;
      const std::string header = fs::relative(entry.path(), test::source_dir()).generic_string();
      std::ifstream file(entry.path());
      std::string scope;
      std::smatch match;
      for (std::string line; std::getline(file, line);) {
        if (std::regex_search(line, match, space)) scope = match[1];
        if (!std::regex_search(line, match, type)) continue;
        const std::string name = scope + "::" + match[1].str();
        const auto [found, is_new] = header_of.emplace(name, header);
        EXPECT_TRUE(is_new || found->second == header) << name << ": " << found->second << " and " << header;
      }
    }
  }
  EXPECT_GT(header_of.size(), 300u) << "the headers were read";
}

}  // namespace
}  // namespace sf::architecture
