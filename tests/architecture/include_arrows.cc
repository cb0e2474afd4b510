#include "tests/architecture/include_arrows.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string_view>

namespace sf::architecture {
namespace {

namespace fs = std::filesystem;

struct Include {
  int line;
  std::string target;
  bool quoted;
};
using Tree = std::map<std::string, std::vector<Include>>;  // file -> its includes

// Files whose path begins with `from` may include those of ours whose path begins with one of `to`. The first that
// matches counts, so files stand before their folder and folders before their parent.
struct Arrow {
  std::string_view from;
  std::vector<std::string_view> to;
  std::vector<std::string_view> except = {};  // of `to`
};

const std::vector<Arrow>& arrows() {
  static const std::vector<Arrow> table = {
      {"engine/engine.h", {"engine/base/", "engine/explain/explanation.h"}},
      {"engine/base/", {"engine/base/"}},
      {"engine/image/", {"engine/base/", "engine/image/"}},
      {"engine/text/", {"engine/base/", "engine/text/"}},
      {"engine/explain/", {"engine/base/", "engine/image/", "engine/explain/"}},
      {"engine/checkpoint/", {"engine/base/", "engine/checkpoint/"}},
      {"engine/import/",
       {"engine/base/", "engine/checkpoint/", "engine/text/", "engine/model/config.h",
        "engine/model/parameter_shapes.h", "engine/import/"}},
      {"engine/kernels/", {"engine/base/", "engine/kernels/"}},
      {"engine/model/", {"engine/base/", "engine/kernels/", "engine/model/"}},
      {"engine/runtime/",
       {"engine/engine.h", "engine/base/", "engine/image/", "engine/text/", "engine/explain/", "engine/checkpoint/",
        "engine/kernels/", "engine/model/", "engine/runtime/"}},
      {"server/main.cc", {"engine/", "server/"}},
      {"server/app/", {"engine/engine.h", "engine/base/", "engine/checkpoint/", "server/"}},
      {"server/auth/", {"engine/base/", "server/auth/"}},
      {"server/wire/", {"engine/engine.h", "engine/base/", "server/wire/"}},
      {"server/metrics/", {"engine/engine.h", "engine/base/", "server/metrics/"}},
      {"server/scheduler/",
       {"engine/engine.h", "engine/base/", "server/wire/", "server/metrics/", "server/scheduler/"}},
      {"server/versions/",
       {"engine/engine.h", "engine/base/", "engine/checkpoint/", "server/wire/", "server/metrics/", "server/scheduler/",
        "server/versions/"}},
      {"server/web/", {"server/web/"}},
      {"server/service/",
       {"engine/engine.h", "engine/base/", "engine/explain/", "server/auth/", "server/wire/", "server/metrics/",
        "server/scheduler/", "server/versions/", "server/service/"}},
      {"server/outbound/",
       {"engine/engine.h", "engine/base/", "server/auth/", "server/wire/", "server/metrics/", "server/scheduler/",
        "server/service/", "server/outbound/"}},
      {"server/kserve/",
       {"engine/engine.h", "engine/base/", "server/wire/", "server/scheduler/", "server/service/", "server/kserve/"}},
      {"server/connections/", {"engine/base/", "server/auth/", "server/wire/", "server/connections/"}},
      {"server/http/",
       {"engine/engine.h", "engine/base/", "engine/explain/", "server/auth/", "server/wire/", "server/metrics/",
        "server/scheduler/", "server/versions/", "server/service/", "server/kserve/", "server/connections/",
        "server/http/", "server/web/"}},
      {"server/grpc/",
       {"engine/engine.h", "engine/base/", "engine/explain/", "server/auth/", "server/wire/", "server/metrics/",
        "server/scheduler/", "server/versions/", "server/service/", "server/kserve/", "server/grpc/", "proto/"}},
      {"trainer/data/", {"engine/base/", "engine/image/", "trainer/data/"}},
      {"trainer/task.h", {"engine/image/", "engine/text/"}},
      {"trainer/tasks/sort_of_clevr/",
       {"engine/base/", "engine/checkpoint/sha256.h", "engine/image/", "engine/text/", "trainer/task.h",
        "trainer/data/", "trainer/tasks/sort_of_clevr/"}},
      {"trainer/tasks/user_rows/",
       {"engine/base/", "engine/checkpoint/sha256.h", "engine/image/", "engine/text/", "trainer/task.h",
        "trainer/data/", "trainer/tasks/user_rows/"}},
      {"trainer/tasks/", {"engine/base/", "trainer/task.h", "trainer/tasks/"}},
      {"trainer/main.cc", {"engine/", "trainer/"}},
      {"trainer/", {"engine/", "trainer/"}, {"trainer/tasks/"}},
      {"tools/", {"engine/", "trainer/", "tools/"}},
      {"client/", {"client/", "proto/", "engine/base/"}},
      {"proto/", {"proto/"}},
      {"tests/", {""}},
      {"bench/", {""}},
  };
  return table;
}

// A library that only these rooms may see.
struct Library {
  std::string_view name;
  std::vector<std::string_view> headers;  // prefixes of the header's path
  std::string_view header_suffix;         // or how it ends; empty = none
  std::vector<std::string_view> rooms;
};

const std::vector<Library>& libraries() {
  static const std::vector<Library> table = {
      {"LibTorch",
       {"torch/", "ATen/", "c10/", "caffe2/"},
       "",
       {"engine/kernels/", "engine/model/", "engine/runtime/", "trainer/", "tools/", "tests/", "bench/"}},
      {"protobuf and gRPC",
       {"google/protobuf/", "grpc/", "grpc++/", "grpcpp/"},
       ".pb.h",
       {"server/grpc/", "client/", "proto/", "tests/", "bench/"}},
      {"prometheus-cpp", {"prometheus/"}, "", {"server/metrics/", "trainer/", "tests/", "bench/"}},
      {"cpp-httplib",
       {"httplib.h"},
       "",
       {"server/connections/", "server/http/", "server/outbound/", "client/", "trainer/", "tests/", "bench/"}},
      {"sentencepiece", {"sentencepiece_"}, "", {"engine/text/", "trainer/", "tests/"}},
      {"OpenCV", {"opencv2/"}, "", {"engine/explain/", "trainer/", "tools/", "tests/"}},
  };
  return table;
}

// Though they lie in a room that may see everything.
const std::vector<std::string_view> kTorchFree = {"trainer/task.h", "trainer/data/", "trainer/tasks/"};

const std::vector<std::string_view> kTopLevel = {"engine", "server", "trainer", "tools",
                                                 "client", "proto",  "tests",   "bench"};

bool starts_with_any(std::string_view path, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return path.starts_with(p); });
}

bool belongs_to(const Library& library, std::string_view header) {
  return starts_with_any(header, library.headers) ||
         (!library.header_suffix.empty() && header.ends_with(library.header_suffix));
}

std::vector<Include> read_includes(const fs::path& path) {
  static const std::regex pattern(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<Include> includes;
  std::ifstream in(path);
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, pattern)) {
      includes.push_back({line, match[2].str(), match[1].str() == "\""});
    }
  }
  return includes;
}

Tree read_tree(const fs::path& root) {
  static const std::set<std::string> extensions = {".h", ".cc", ".cu", ".cuh"};
  Tree tree;
  for (std::string_view room : kTopLevel) {
    if (!fs::is_directory(root / room)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / room)) {
      if (!entry.is_regular_file() || !extensions.contains(entry.path().extension().string())) continue;
      tree[entry.path().lexically_relative(root).generic_string()] = read_includes(entry.path());
    }
  }
  return tree;
}

bool names_our_file(std::string_view target) {
  return std::any_of(kTopLevel.begin(), kTopLevel.end(), [&](std::string_view room) {
    return target.starts_with(room) && target.size() > room.size() && target[room.size()] == '/';
  });
}

const Arrow* find_arrow(std::string_view file) {
  for (const Arrow& arrow : arrows()) {
    if (file.starts_with(arrow.from)) return &arrow;
  }
  return nullptr;
}

// Why `file` may not include `include`; empty where it may.
std::string objection(const std::string& file, const Arrow& arrow, const Include& include, const Tree& tree) {
  for (const Library& library : libraries()) {
    const bool allowed =
        starts_with_any(file, library.rooms) && (library.name == "OpenCV" || !starts_with_any(file, kTorchFree));
    if (belongs_to(library, include.target) && !allowed) {
      return std::string(library.name) + " is not for this folder";
    }
  }
  if (include.target.find("..") != std::string::npos) return "paths begin at the root of the repository";
  if (!names_our_file(include.target)) {
    const std::string beside = fs::path(file).parent_path().generic_string() + "/" + include.target;
    return include.quoted && tree.contains(beside) ? "paths begin at the root of the repository" : "";
  }
  if (!include.quoted) return "our own files are included with quotes";
  if (!starts_with_any(include.target, arrow.to) || starts_with_any(include.target, arrow.except))
    return "crosses the arrows of docs/architecture.md";
  return "";
}

// The libraries that a file sees through our own headers.
std::set<std::string_view> reached_libraries(const std::string& file, const Tree& tree,
                                             std::set<std::string>& visited) {
  std::set<std::string_view> reached;
  const auto found = tree.find(file);
  if (found == tree.end() || !visited.insert(file).second) return reached;
  for (const Include& include : found->second) {
    for (const Library& library : libraries()) {
      if (belongs_to(library, include.target)) reached.insert(library.name);
    }
    reached.merge(reached_libraries(include.target, tree, visited));
  }
  return reached;
}

void check_reached_libraries(const std::string& file, const Tree& tree, std::vector<Violation>& violations) {
  std::set<std::string> visited;
  const std::set<std::string_view> reached = reached_libraries(file, tree, visited);
  if (!reached.contains("LibTorch")) return;
  if (reached.contains("protobuf and gRPC")) {
    violations.push_back({file, 0, "", "reaches LibTorch, which carries an old protobuf, and protobuf"});
  } else if (file == "engine/engine.h" || file.starts_with("server/") || file.starts_with("client/")) {
    violations.push_back({file, 0, "", "reaches LibTorch"});
  }
}

}  // namespace

std::string Violation::describe() const {
  std::string text = file;
  if (line > 0) text.append(":").append(std::to_string(line));
  if (!target.empty()) text.append(" includes ").append(target);
  return text.append(": ").append(reason);
}

Report check_include_arrows(const fs::path& root) {
  const Tree tree = read_tree(root);
  Report report;
  for (const auto& [file, includes] : tree) {
    ++report.num_files;
    report.num_includes += static_cast<int>(includes.size());
    const Arrow* arrow = find_arrow(file);
    if (arrow == nullptr) {
      report.violations.push_back({file, 0, "", "lies in no folder that docs/architecture.md knows"});
      continue;
    }
    for (const Include& include : includes) {
      const std::string reason = objection(file, *arrow, include, tree);
      if (!reason.empty()) report.violations.push_back({file, include.line, include.target, reason});
    }
    check_reached_libraries(file, tree, report.violations);
  }
  return report;
}

}  // namespace sf::architecture
