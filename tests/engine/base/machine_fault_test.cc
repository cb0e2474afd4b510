#include "engine/base/machine_fault.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <string>

#include "engine/base/backoff.h"

namespace sf {
namespace {

Error thrown_for(int error) {
  try {
    throw_errno("file: cannot read 'a'", error, "a");
  } catch (const Error& thrown) {
    EXPECT_EQ(is_machine_fault(thrown), is_machine_errno(error)) << error;
    EXPECT_EQ(thrown.field(), "a");
    return thrown;
  }
}

TEST(MachineFaultTest, WhatTheMachineDoesIsAFault) {
  for (const int error : {EMFILE, ENFILE, EIO, ESTALE, EACCES, EPERM, ENOMEM, EINTR, EAGAIN, ENOSPC, EDQUOT, ENODEV,
                          ENXIO, ETIMEDOUT, EROFS, ENOTCONN, EHOSTDOWN, EREMOTEIO, EUCLEAN}) {
    EXPECT_TRUE(is_machine_errno(error)) << error;
    thrown_for(error);
  }
}

TEST(MachineFaultTest, WhatStandsAtAPathIsNone) {
  for (const int error : {0, ENOENT, ENOTDIR, ELOOP, EISDIR, ENAMETOOLONG}) {
    EXPECT_FALSE(is_machine_errno(error)) << error;
    thrown_for(error);
  }
}

TEST(MachineFaultTest, CodesTellWhatToDo) {
  EXPECT_EQ(thrown_for(ENOENT).code(), Code::kNotFound);
  EXPECT_EQ(thrown_for(ELOOP).code(), Code::kInvalidArgument);
  EXPECT_EQ(thrown_for(EACCES).code(), Code::kPermissionDenied);
  EXPECT_EQ(thrown_for(EMFILE).code(), Code::kResourceExhausted);
  EXPECT_EQ(thrown_for(EIO).code(), Code::kUnavailable);
  EXPECT_STREQ(thrown_for(EIO).what(), "file: cannot read 'a': Input/output error");
}

TEST(MachineFaultTest, TheStandardLibrarysErrorsCountByTheirErrno) {
  EXPECT_TRUE(is_machine_fault(std::system_error(EAGAIN, std::generic_category(), "thread")));
  EXPECT_FALSE(is_machine_fault(std::system_error(ENOENT, std::system_category(), "open")));
  EXPECT_FALSE(is_machine_fault(std::system_error(std::make_error_code(std::future_errc::no_state))));
  EXPECT_FALSE(is_machine_fault(std::runtime_error("shape mismatch")));
  EXPECT_FALSE(is_machine_fault(Error(Code::kUnavailable, "draining")));
}

TEST(MachineFaultTest, APrefixChangesNothingElse) {
  try {
    throw_prefixed("config.json: ", MachineFault(Code::kPermissionDenied, "no", "config.json"));
  } catch (const MachineFault& error) {
    EXPECT_STREQ(error.what(), "config.json: no");
    EXPECT_EQ(error.code(), Code::kPermissionDenied);
  }
  EXPECT_THROW(throw_prefixed("x: ", MachineFault(Code::kUnavailable, "no")), MachineFault);
  try {
    throw_prefixed("x: ", Error(Code::kDataLoss, "torn"));
  } catch (const Error& error) {
    EXPECT_FALSE(is_machine_fault(error));
  }
}

TEST(BackoffTest, DoublesUpToItsLimitAndStartsAgain) {
  Backoff backoff(1, 5);
  for (const double expected : {1.0, 2.0, 4.0, 5.0, 5.0}) EXPECT_EQ(backoff.next_s(), expected);
  backoff.reset();
  EXPECT_EQ(backoff.next_s(), 1.0);
}

}  // namespace
}  // namespace sf
