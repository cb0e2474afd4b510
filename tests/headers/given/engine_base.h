#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

namespace sf::examples_engine_base {

struct Job {};
struct Throttle {
  void wait();
};

extern const int width, height, fd;
extern const size_t rows, size, max_bytes;
extern char* const out;
extern const double now_s;
extern const std::vector<int> ids;
extern const std::vector<int64_t> assignments_per_expert;
extern const std::filesystem::path dir, final_dir;
extern const std::string question, digest, piece;
extern Throttle throttle;
extern int argc;
extern char** argv;
int serve(int port);
void set_option(const std::string& key, const std::vector<std::string>& values);
bool receive(const std::string& piece);
void try_again_later();

}  // namespace sf::examples_engine_base
