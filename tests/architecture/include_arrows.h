// Reads every #include of a source tree and reports those that cross the arrows of docs/architecture.md.
//
//   for (const Violation& v : check_include_arrows(root)) std::cerr << v.describe() << "\n";
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sf::architecture {

struct Violation {
  std::string file;    // relative to the root, with '/'
  int line = 0;        // 1-based; 0 where the whole file is at fault
  std::string target;  // what it includes, as written
  std::string reason;

  std::string describe() const;
};

struct Report {
  int num_files = 0;
  int num_includes = 0;
  std::vector<Violation> violations;  // ordered by file and line
};

// Effect: reads all *.h, *.cc, *.cu and *.cuh below the top-level rooms of `root`. Errors: std::filesystem's.
Report check_include_arrows(const std::filesystem::path& root);

}  // namespace sf::architecture
