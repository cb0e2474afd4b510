// Where this checkout and its build lie. Compiled into one object, so that no other file's compilation depends on a
// path: ccache then serves every checkout of the same sources.
//
//   read_file(test::source_dir() + "/examples/scene.png", 1 << 20);
//
// Thread-safe.
#pragma once

#include <string>

namespace sf::test {

std::string source_dir();  // of the repository, without a slash at its end
std::string binary_dir();  // of the build, e.g. build/release

}  // namespace sf::test
