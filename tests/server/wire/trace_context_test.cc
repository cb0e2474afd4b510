#include "server/wire/trace_context.h"

#include <gtest/gtest.h>

namespace sf::server {
namespace {

TEST(TraceContextTest, ContinuesTheCallersTrace) {
  const TraceContext trace = continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(trace.parent_id, "b7ad6b7169203331");
  EXPECT_EQ(trace.span_id.size(), 16u);
  EXPECT_NE(trace.span_id, trace.parent_id);
  EXPECT_TRUE(trace.sampled);
  EXPECT_FALSE(continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").sampled);
  EXPECT_FALSE(continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02").sampled);
  EXPECT_TRUE(continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff").sampled);
}

TEST(TraceContextTest, ALaterVersionIsReadAsFarAsItIsKnown) {
  EXPECT_TRUE(continue_trace("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_set());
  EXPECT_TRUE(continue_trace("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes").is_set());
  EXPECT_FALSE(continue_trace("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01what").is_set());
}

TEST(TraceContextTest, WhatIsMalformedIsIgnored) {
  for (
      const char* header : {
          "",
          "00",
          "nonsense",
          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
          "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",  // forbidden version
          "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          "00-00000000000000000000000000000000-b7ad6b7169203331-01",  // no trace
          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",  // no parent
          "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",  // upper case
          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
          "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",  // a dash out of place
          "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",  // longer than version 00
          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      }) {
    EXPECT_FALSE(continue_trace(header).is_set()) << header;
  }
}

TEST(TraceContextTest, IdsOfOursAreFreshHex) {
  const TraceContext first = begin_trace(true), second = begin_trace(false);
  EXPECT_EQ(first.trace_id.size(), 32u);
  EXPECT_NE(first.trace_id, second.trace_id);
  EXPECT_EQ((first.trace_id + first.span_id).find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_TRUE(first.sampled);
  EXPECT_FALSE(second.sampled);
}

}  // namespace
}  // namespace sf::server
