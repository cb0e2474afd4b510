// A moment in which this process can open nothing: open() fails with EMFILE, as on a machine with too many open files.
//
//   { const NoFreeFiles full;  EXPECT_THROW(read_file(path, 9), MachineFault); }
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace sf {

class NoFreeFiles {
 public:
  NoFreeFiles() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoFreeFiles() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoFreeFiles(const NoFreeFiles&) = delete;
  NoFreeFiles& operator=(const NoFreeFiles&) = delete;

 private:
  rlimit before_{};
};

}  // namespace sf
