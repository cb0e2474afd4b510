// "Did you mean": the known word that a mistyped one is nearest to.
//
//   std::string flag = nearest_word("--http-prot", {"--http-port", "--grpc-port"});   // "--http-port"
//
// Thread-safe: free functions.
#pragma once

#include <string>
#include <vector>

namespace sf {

// Letters to insert, delete, replace or swap with a neighbour to make one of the other; `limit` + 1 where it is more.
int edit_distance(const std::string& a, const std::string& b, int limit);

// The nearest of `words` (the first of several) within a third of the letters and 3 edits; empty where none is so near.
std::string nearest_word(const std::string& mistyped, const std::vector<std::string>& words);

}  // namespace sf
