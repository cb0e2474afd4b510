#include "engine/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

using testing::HasSubstr;

// A file made by hand: length, header, buffer.
std::string file_of(const std::string& header, const std::string& buffer) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + buffer;
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

std::string reason_of(const std::string& bytes) {
  try {
    Safetensors::parse(bytes, "m.safetensors");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.what(), HasSubstr("m.safetensors: "));
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

std::string reason_of_header(const std::string& header, size_t buffer_size = 0) {
  return reason_of(file_of(header, std::string(buffer_size, 'x')));
}

TEST(SafetensorsTest, ReadsAFileMadeByHand) {
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + tensor("I16", "2", "4,8") + R"(,"a":)" +
                             tensor("F32", "", "0,4") + "}  ";
  const std::string bytes = file_of(header, "abcdefgh");
  const Safetensors file = Safetensors::parse(bytes, "f");
  EXPECT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.at("a").bytes, "abcd");
  EXPECT_EQ(file.at("a").bytes.data(), bytes.data() + 8 + header.size());  // a view, not a copy
  EXPECT_TRUE(file.at("a").shape.empty());
  EXPECT_EQ(num_elements(file.at("a").shape), 1);
  EXPECT_EQ(file.at("b").dtype, Dtype::kI16);
  EXPECT_EQ(file.at("b").shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_THROW(file.at("c"), Error);
}

TEST(SafetensorsTest, EmptyFileAndEmptyTensors) {
  EXPECT_NO_THROW(Safetensors::parse(file_of("{}", ""), "f"));
  const std::string bytes =
      file_of(R"({"a":)" + tensor("F32", "0,5", "0,0") + R"(,"b":)" + tensor("U8", "1", "0,1") + "}", "x");
  const Safetensors file = Safetensors::parse(bytes, "f");
  EXPECT_EQ(num_elements(file.at("a").shape), 0);
}

TEST(SafetensorsTest, WritesAndReadsEveryDtype) {
  const char* names[] = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32",
                         "I16", "I8",  "U64", "U32",  "U16",     "U8",      "BOOL"};
  std::map<std::string, std::string> data;
  std::map<std::string, TensorView> tensors;
  for (const char* name : names) {
    const Dtype dtype = dtype_of(name).value();
    EXPECT_EQ(dtype_name(dtype), name);
    data[name] = std::string(6 * dtype_size(dtype), name[0]);
    tensors[name] = {dtype, {2, 3}, data[name]};
  }
  const std::string bytes = write_safetensors(tensors, {{"k", "v"}});
  EXPECT_EQ(bytes, write_safetensors(tensors, {{"k", "v"}}));
  const Safetensors file = Safetensors::parse(bytes, "f");
  ASSERT_EQ(file.tensors().size(), std::size(names));
  for (const auto& [name, view] : file.tensors()) {
    EXPECT_EQ(view.bytes, data[name]);
    EXPECT_EQ((view.bytes.data() - bytes.data()) % static_cast<int64_t>(dtype_size(view.dtype)), 0) << name;
  }
}

TEST(SafetensorsTest, WriterRefusesWhatItCouldNotReadBack) {
  EXPECT_THROW(write_safetensors({{"a", {Dtype::kF32, {2}, "1234"}}}), Error);
  EXPECT_THROW(write_safetensors({{"a", {Dtype::kF32, {-1}, ""}}}), Error);
  EXPECT_THROW(write_safetensors({{"__metadata__", {Dtype::kU8, {1}, "1"}}}), Error);
  EXPECT_THROW(write_safetensors({{"\xff", {Dtype::kU8, {1}, "1"}}}), Error);
}

TEST(SafetensorsTest, TruncationAtEveryByteIsRefused) {
  const std::string bytes = write_safetensors({{"a", {Dtype::kF32, {2}, "12345678"}}, {"b", {Dtype::kU8, {3}, "abc"}}});
  ASSERT_NO_THROW(Safetensors::parse(bytes, "f"));
  for (size_t length = 0; length < bytes.size(); ++length) reason_of(bytes.substr(0, length));
  reason_of(bytes + "x");
}

TEST(SafetensorsTest, HeaderLengthIsBounded) {
  EXPECT_THAT(reason_of(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), HasSubstr("over the limit"));
  EXPECT_THAT(reason_of(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10)), HasSubstr("over the limit"));  // 100,000,001
  EXPECT_THAT(reason_of(std::string("\x00\xe1\xf5\x05\0\0\0\0{}", 10)), HasSubstr("truncated"));       // 100,000,000
  EXPECT_THAT(reason_of(std::string(8, '\0')), HasSubstr("'{'"));
}

TEST(SafetensorsTest, HeaderMustBeOneStrictObject) {
  EXPECT_THAT(reason_of_header(" {}"), HasSubstr("'{'"));
  EXPECT_THAT(reason_of_header("[]"), HasSubstr("'{'"));
  EXPECT_THAT(reason_of_header("{"), HasSubstr("not JSON"));
  EXPECT_THAT(reason_of_header("{} {}"), HasSubstr("not JSON"));
  EXPECT_THAT(reason_of_header("{\"\xff\":1}"), HasSubstr("not JSON"));
  reason_of_header(R"({"a":1})");
  reason_of_header(R"({"a":null})");
  reason_of_header(R"({"a":[1]})");
  reason_of_header(R"({"a":"F32"})");
  reason_of_header(R"({"a":{"dtype":{}}})");
  reason_of_header(R"({"a":{"dtype":[]}})");
  reason_of_header(R"({"a":{"shape":[[1]]}})");
  reason_of_header(R"({"__metadata__":{"a":1}})");
  reason_of_header(R"({"__metadata__":"a"})");
  reason_of_header(std::string(100'000, '{'));
  reason_of_header("{\"a\":" + std::string(100'000, '['));
}

TEST(SafetensorsTest, DuplicatesAreRefusedByName) {
  const std::string one = tensor("U8", "1", "0,1");
  EXPECT_THAT(reason_of_header(R"({"w":)" + one + R"(,"w":)" + one + "}", 1), HasSubstr("tensor 'w': duplicate"));
  EXPECT_THAT(reason_of_header(R"({"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
              HasSubstr("duplicate dtype"));
  EXPECT_THAT(reason_of_header(R"({"w":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1),
              HasSubstr("duplicate shape"));
  EXPECT_THAT(reason_of_header(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("duplicate"));
  EXPECT_THAT(reason_of_header(R"({"__metadata__":{"k":"1","k":"2"}})"), HasSubstr("duplicate"));
}

TEST(SafetensorsTest, FieldsAreCheckedByName) {
  EXPECT_THAT(reason_of_header(R"({"w":{"dtype":"U8","shape":[1]}})", 1), HasSubstr("missing"));
  EXPECT_THAT(reason_of_header(R"({"w":{}})"), HasSubstr("tensor 'w': "));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("F33", "1", "0,1") + "}", 1), HasSubstr("unknown dtype 'F33'"));
  EXPECT_THAT(reason_of_header(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"stride":[1]}})", 1),
              HasSubstr("unknown field 'stride'"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("U8", "-1", "0,1") + "}", 1), HasSubstr("negative"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("U8", "1.0", "0,1") + "}", 1), HasSubstr("no integer"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("U8", "1", "0") + "}", 1), HasSubstr("two numbers"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("U8", "1", "0,1,1") + "}", 1), HasSubstr("two numbers"));
}

TEST(SafetensorsTest, OverflowingShapesAreRefused) {
  const std::string huge = "4294967296,4294967296,4294967296";
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("F32", huge, "0,0") + "}"), HasSubstr("too large"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("F32", "4611686018427387904", "0,0") + "}"), HasSubstr("too large"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("F32", "0," + huge, "0,0") + "}"), HasSubstr("too large"));
  EXPECT_THAT(reason_of_header(R"({"w":)" + tensor("U8", "18446744073709551616", "0,0") + "}"), HasSubstr("too large"));
  reason_of_header(R"({"w":)" + tensor("U8", std::string(400, '1') + ",1", "0,0") + "}");  // not even a double
}

TEST(SafetensorsTest, SpansMustTileTheBuffer) {
  const auto two = [](const std::string& first, const std::string& second, const std::string& shape) {
    return R"({"a":)" + tensor("U8", "2", first) + R"(,"b":)" + tensor("U8", shape, second) + "}";
  };
  EXPECT_THAT(reason_of_header(two("0,2", "3,5", "2"), 5), HasSubstr("tensor 'b': leaves a hole"));
  EXPECT_THAT(reason_of_header(two("0,2", "1,3", "2"), 3), HasSubstr("tensor 'b': overlaps"));
  EXPECT_THAT(reason_of_header(two("0,2", "0,2", "2"), 2), HasSubstr("overlaps"));
  EXPECT_THAT(reason_of_header(two("1,3", "3,5", "2"), 5), HasSubstr("tensor 'a': leaves a hole"));
  EXPECT_THAT(reason_of_header(two("0,2", "2,4", "2"), 5), HasSubstr("1 bytes behind"));
  EXPECT_THAT(reason_of_header(two("0,2", "2,4", "2"), 3), HasSubstr("tensor 'b': data ends"));
  EXPECT_THAT(reason_of_header(two("2,0", "2,4", "2"), 4), HasSubstr("backwards"));
  EXPECT_THAT(reason_of_header(two("0,2", "2,4", "3"), 4), HasSubstr("shape needs 3 bytes"));
  EXPECT_THAT(reason_of_header(two("0,2", "2,18446744073709551615", "2"), 4), HasSubstr("data ends"));
}

TEST(SafetensorsTest, FlippedBytesAreReadOrRefusedButNeverCrash) {
  std::mt19937 random(11);
  const std::string original = write_safetensors(
      {{"alpha", {Dtype::kF32, {2, 2}, "0123456789abcdef"}}, {"beta", {Dtype::kI8, {4}, "wxyz"}}}, {{"k", "v"}});
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = original;
    for (int i = 0; i <= round % 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      const Safetensors file = Safetensors::parse(bytes, "f");
      for (const auto& [name, view] : file.tensors()) {
        EXPECT_EQ(static_cast<size_t>(num_elements(view.shape)) * dtype_size(view.dtype), view.bytes.size());
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss);
    }
  }
}

}  // namespace
}  // namespace sf
