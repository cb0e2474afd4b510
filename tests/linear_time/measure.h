// Instructions that a piece of work takes, counted by valgrind's callgrind over all threads of this process.
//
//   const Measure measure(argc, argv);                   // NAMES: only cases whose name holds one of them
//   measure("json: numbers", 4000, [](size_t n) { return numbers(n); }, [&](const std::string& body) { post(body); });
//
// A case is made at sizes n, 2n and 4n; only `run` is counted. tests/linear_time/check.py runs the program under
// callgrind and compares. Without valgrind everything is run, and nothing counted.
#pragma once

#include <valgrind/callgrind.h>

#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

namespace sf::linear_time {

class Measure {
 public:
  Measure(int argc, char** argv) : names_(argv + 1, argv + argc) {}

  // `make(n)` gives the input of that size, `run(input)` works on it. REQUIRES: n items take far more instructions than
  // none: the costs that do not depend on n would hide the others.
  template <typename Make, typename Run>
  void operator()(const std::string& name, size_t n, const Make& make, const Run& run) const {
    if (!is_wanted(name)) return;
    run(make(n));  // malloc's first pieces of fresh memory cost less than later ones
    for (const size_t size : {n, 2 * n, 4 * n}) {
      const auto input = make(size);
      const std::string label = name + "|" + std::to_string(size);
      std::cerr << label << std::endl;
      CALLGRIND_ZERO_STATS;
      run(input);
      CALLGRIND_DUMP_STATS_AT(label.c_str());
    }
  }

 private:
  bool is_wanted(const std::string& name) const {
    for (const std::string& wanted : names_) {
      if (name.find(wanted) != std::string::npos) return true;
    }
    return names_.empty();
  }

  const std::vector<std::string> names_;
};

inline std::string repeat(const std::string& item, size_t count) {
  std::string text;
  text.reserve(item.size() * count);
  for (size_t i = 0; i < count; ++i) text += item;
  return text;
}

// before + "0" + behind + before + "1" + behind ...
inline std::string numbered(const std::string& before, const std::string& behind, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += before + std::to_string(i) + behind;
  return text;
}

}  // namespace sf::linear_time
