#include "engine/import/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <filesystem>

#include "engine/base/error.h"
#include "engine/import/pickle.h"
#include "engine/import/zip_reader.h"

namespace sf {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string little(uint64_t value, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string text(const std::string& value) { return std::string(1, 'X') + little(value.size(), 4) + value; }

// What torch.save writes for one float tensor of [2, 3] in storage "0".
std::string tensor(const std::string& storage_elements = "K\x06", const std::string& strides = "K\x03K\x01\x86",
                   const std::string& offset = std::string("K\0", 2)) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text("0") +
         text("cpu") + storage_elements + "tQ" + offset + "K\x02K\x03\x86" + strides + "\x89" +
         "ccollections\nOrderedDict\n)RtR";
}

std::string state_dict(const std::string& items) {
  return "\x80\x02"
         "ccollections\nOrderedDict\n)Rq" +
         std::string("\0(", 2) + items + "u.";
}

std::string reason_of(const std::string& pickle) {
  try {
    parse_state_dict(pickle, "m.pth");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    return error.what();
  }
  return "accepted";
}

TEST(PickleTest, ReadsAStateDict) {
  const auto tensors = parse_state_dict(state_dict(text("w") + tensor()), "m.pth");
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors.at("w").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors.at("w").storage, "0");
  EXPECT_EQ(tensors.at("w").dtype, Dtype::kF32);
  EXPECT_TRUE(parse_state_dict("\x80\x02}.", "m.pth").empty());
}

TEST(PickleTest, RefusesEveryOtherGlobalByName) {
  EXPECT_THAT(reason_of("\x80\x02"
                        "cos\nsystem\n" +
                        text("true") + "\x85R."),
              HasSubstr("global os.system is not allowed"));
  EXPECT_THAT(reason_of("\x80\x02"
                        "cbuiltins\neval\n."),
              HasSubstr("builtins.eval"));
  EXPECT_THAT(reason_of("\x80\x02"
                        "ctorch\nload\n."),
              HasSubstr("torch.load"));
  EXPECT_THAT(reason_of("\x80\x02"
                        "ctorch\nFloatStorage\n)R."),
              HasSubstr("REDUCE of torch FloatStorage"));
  EXPECT_THAT(reason_of("\x80\x02"
                        "ccollections\nOrderedDict\n" +
                        text("a") + "\x85R."),
              HasSubstr("REDUCE of collections OrderedDict"));
  EXPECT_THAT(reason_of("\x80\x02"
                        "ctorch._utils\n_rebuild_tensor_v2\n)R."),
              HasSubstr("_rebuild_tensor_v2 with other arguments"));
}

TEST(PickleTest, RefusesEveryOtherOpcodeByName) {
  EXPECT_THAT(reason_of("\x80\x04\x95" + little(1, 8) + "."), HasSubstr("opcode FRAME"));
  EXPECT_THAT(reason_of("\x80\x04\x93."), HasSubstr("opcode STACK_GLOBAL"));
  EXPECT_THAT(reason_of("ios\nsystem\n."), HasSubstr("opcode INST"));
  EXPECT_THAT(reason_of("(o."), HasSubstr("opcode OBJ"));
  EXPECT_THAT(reason_of("\x82\x01."), HasSubstr("opcode EXT1"));
  EXPECT_THAT(reason_of("]."), HasSubstr("opcode EMPTY_LIST"));
  EXPECT_THAT(reason_of(std::string("\xff.", 2)), HasSubstr("opcode of number 255"));
  EXPECT_THAT(reason_of("\x80\x09."), HasSubstr("protocol"));
}

TEST(PickleTest, RefusesWhatIsCutOffOrEmpty) {
  const std::string whole = state_dict(text("w") + tensor());
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_NE(reason_of(whole.substr(0, size)), "accepted") << size;
  for (const char* pickle : {".", "R.", "t.", "u.", "s.", "b.", "Q.", "(.", "h\x01.", "}q\x01}.", "K\x01.", "N."}) {
    EXPECT_NE(reason_of(pickle), "accepted") << pickle;
  }
}

TEST(PickleTest, RefusesTensorsThatReachOutside) {
  EXPECT_THAT(reason_of(state_dict(text("w") + tensor("K\x05"))), HasSubstr("beyond its storage"));
  EXPECT_THAT(reason_of(state_dict(text("w") + tensor("K\x06", "K\x03K\x01\x86", "K\x01"))),
              HasSubstr("beyond its storage"));
  EXPECT_THAT(reason_of(state_dict(text("w") + tensor("K\x06", "K\x01K\x02\x86"))), HasSubstr("not contiguous"));
  EXPECT_THAT(reason_of(state_dict(text("w") + tensor("K\x06", "K\x01\x85"))), HasSubstr("strides"));
  EXPECT_THAT(reason_of(state_dict(text("w") + tensor("J\xff\xff\xff\xff"))), HasSubstr("BINPERSID"));
  EXPECT_THAT(reason_of(state_dict(text("w") + tensor() + text("w") + tensor())), HasSubstr("twice"));
  EXPECT_THAT(reason_of(state_dict(text("w") + "K\x01")), HasSubstr("'w' is no tensor"));
}

TEST(PickleTest, ValuesThatNestOrHoldThemselvesAreRefused) {
  std::string nested = ")";
  for (int i = 0; i < 100'000; ++i) nested += "\x85";
  EXPECT_THAT(reason_of(nested + "."), HasSubstr("nest deeper"));
  EXPECT_THAT(reason_of("}q\x01" + text("a") + "h\x01s."), HasSubstr("holds itself"));
  // A dictionary that lies in another may not change any more.
  EXPECT_THAT(reason_of("}q\x01}q\x02" + text("a") + "h\x01s" + "0."), HasSubstr("POP"));
  EXPECT_THAT(reason_of("}q\x01}q\x02" + text("a") + "h\x01sh\x01" + text("b") + "h\x02s."),
              HasSubstr("no fresh dictionary"));
}

TEST(PickleTest, TheNumberOfValuesIsBounded) {
  EXPECT_THAT(reason_of(std::string(3 << 20, 'N')), HasSubstr("more than"));
}

// A byte or a few of opcodes each, that repeat what stands in the pickle once.
std::vector<std::pair<std::string, std::string>> amplifiers(size_t count) {
  const auto times = [&](const std::string& piece) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += piece;
    return out;
  };
  const std::string long_name = text(std::string(100'000, 'n'));
  const std::string id = "(" + text("storage") + "ctorch\nFloatStorage\n" + long_name + text("cpu") + "K\x06t";
  std::string wide = "(";
  for (int i = 0; i < 64; ++i) wide += "K\x01";
  const std::string tuple = wide + "tq\x01";
  const std::string rebuild = "ctorch._utils\n_rebuild_tensor_v2\nq\x02((" + text("storage") +
                              "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x06tQ" + std::string("K\0", 2) +
                              "h\x01h\x01\x89Ntq\x03";
  return {{"storages of a long name", id + "q\x01" + times("h\x01Q") + "."},
          {"tensors of a wide shape", tuple + rebuild + times("h\x02h\x03R") + "."},
          {"marks", times("(") + "."},
          {"empty tuples", times(")") + "."},
          {"dictionaries", times("}") + "."},
          {"numbers", times("K\x01") + "."},
          {"tuples of one", times("N\x85") + "."},
          {"the same value", "Nq\x01" + times("h\x01") + "."},
          {"a wide tuple", "N" + std::string("q\x01(") + times("h\x01") + "t."},
          {"items", "}(" + times(text("a") + "N") + "u."}};
}

int64_t memory_now() { return static_cast<int64_t>(mallinfo2().uordblks + mallinfo2().hblkhd); }

TEST(PickleTest, MemoryIsBoundedByTheLength) {
  for (const auto& [name, pickle] : amplifiers(100'000)) EXPECT_NE(reason_of(pickle), "accepted") << name;
  // The two that were worth gigabytes are cut off by the bound itself.
  EXPECT_THAT(reason_of(amplifiers(400'000)[1].second), HasSubstr("more than 64 times its length in memory"));
  EXPECT_THAT(reason_of(amplifiers(400'000)[4].second), HasSubstr("more than 64 times its length in memory"));
}

// Every name of a state_dict is copied out at the end, and with it the name of its storage.
TEST(PickleTest, WhatIsHandedOutIsBoundedToo) {
  std::string items = tensor("K\x06");
  const size_t at = items.find(text("0"));
  items.replace(at, text("0").size(), text(std::string(50'000, 's')));
  std::string pickle = items + "q\x05}(";
  for (int i = 0; i < 1000; ++i) pickle += text(std::to_string(i)) + "h\x05";
  const int64_t before = memory_now();
  EXPECT_THAT(reason_of("\x80\x02" + pickle + "u."), HasSubstr("values are left over"));
  std::string whole = "}q\x04" + text("first") + items + "q\x05s(";
  for (int i = 0; i < 1000; ++i) whole += text(std::to_string(i)) + "h\x05";
  EXPECT_THAT(reason_of("\x80\x02" + whole + "u."), HasSubstr("more than 64 times its length in memory"));
  EXPECT_LT(memory_now() - before, 1 << 20) << "and all of it is given back";
}

TEST(PickleTest, AThousandTensorsFitTheirBound) {
  std::string items;
  for (int i = 0; i < 1000; ++i) items += text("layer." + std::to_string(i) + ".weight") + tensor();
  EXPECT_EQ(parse_state_dict(state_dict(items), "m.pth").size(), 1000u);
}

// One stored entry after another, then the table of contents.
struct Zip {
  struct Entry {
    std::string name, bytes;
    int method = 0, flags = 0;
  };
  std::string bytes_of(const std::vector<Entry>& entries) {
    std::string file, table;
    for (const Entry& entry : entries) {
      const std::string sizes =
          little(0, 4) + little(entry.bytes.size(), 4) + little(entry.bytes.size(), 4) + little(entry.name.size(), 2);
      const std::string common =
          little(20, 2) + little(entry.flags, 2) + little(entry.method, 2) + little(0, 4) + sizes;
      table += "PK\x01\x02" + little(20, 2) + common + little(0, 2) + little(0, 2) + little(0, 2) + little(0, 2) +
               little(0, 4) + little(file.size(), 4) + entry.name;
      file += "PK\x03\x04" + common + little(3, 2) + entry.name + "pad" + entry.bytes;
    }
    return file + table + "PK\x05\x06" + little(0, 4) + little(entries.size(), 2) + little(entries.size(), 2) +
           little(table.size(), 4) + little(file.size(), 4) + little(0, 2);
  }
};

class TorchFileTest : public testing::Test {
 protected:
  TorchFileTest() {
    std::string pattern = (fs::temp_directory_path() / "sparsefusion-torch-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~TorchFileTest() override { fs::remove_all(folder_); }

  std::string refusal(const std::string& bytes) {
    write_file(folder_ / "m.pth", bytes);
    try {
      TorchFile(folder_ / "m.pth");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_EQ(error.field(), "m.pth");
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_;
  const std::string pickle_ = state_dict(text("w") + tensor());
  const std::string storage_ = std::string(24, 'a');
};

TEST_F(TorchFileTest, ReadsWhatTorchSaves) {
  ASSERT_EQ(refusal(Zip().bytes_of(
                {{"m/data.pkl", pickle_}, {"m/byteorder", "little"}, {"m/data/0", "abcdefghijklmnopqrstuvwx"}})),
            "accepted");
  const TorchFile file(folder_ / "m.pth");
  std::string bytes(8, '\0');
  file.read("w", 16, 8, bytes.data());
  EXPECT_EQ(bytes, "qrstuvwx");
}

TEST_F(TorchFileTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_}})), HasSubstr("storage of tensor 'w' is missing"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_}, {"m/data/0", "short"}})), HasSubstr("too short"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data/0", storage_}})), HasSubstr("no data.pkl"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_}, {"n/data.pkl", pickle_}})), HasSubstr("two pickles"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_}, {"m/data.pkl", pickle_}})), HasSubstr("twice"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_}, {"m/byteorder", "big"}})), HasSubstr("byte order"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_, 8}})), HasSubstr("compressed"));
  EXPECT_THAT(refusal(Zip().bytes_of({{"m/data.pkl", pickle_, 0, 1}})), HasSubstr("encrypted"));
}

// Else a small file is worth a full disk.
TEST_F(TorchFileTest, TensorsThatShareTheirBytesTooOftenAreRefused) {
  const auto file_of = [&](int num_tensors, const std::string& storage) {
    std::string items;
    const std::string elements = "J" + little(storage.size() / 4, 4);
    const std::string shape = "J" + little(storage.size() / 12, 4) + "K\x03\x86";
    for (int i = 0; i < num_tensors; ++i) {
      std::string one = tensor(elements);
      const std::string old_shape = "K\x02K\x03\x86";
      one.replace(one.find(old_shape), old_shape.size(), shape);
      items += text(std::to_string(i)) + one;
    }
    return Zip().bytes_of({{"m/data.pkl", state_dict(items)}, {"m/data/0", storage}});
  };
  EXPECT_EQ(refusal(file_of(2, std::string(120'000, 'w'))), "accepted") << "tied weights";
  EXPECT_THAT(refusal(file_of(40, std::string(120'000, 'w'))), HasSubstr("share their bytes"));
}

TEST_F(TorchFileTest, ATableThatClaimsMoreThanItHoldsIsRefused) {
  std::string file = Zip().bytes_of({{"m/data.pkl", pickle_}, {"m/data/0", storage_}});
  file.replace(file.size() - 12, 2, "\xff\xff");  // entries in all
  EXPECT_THAT(refusal(file), HasSubstr("damaged"));
}

TEST_F(TorchFileTest, RefusesEveryTruncation) {
  const std::string whole = Zip().bytes_of({{"m/data.pkl", pickle_}, {"m/data/0", storage_}});
  for (size_t size = 0; size < whole.size(); size += 3) EXPECT_NE(refusal(whole.substr(0, size)), "accepted") << size;
  for (size_t cut = 1; cut + 60 < whole.size(); cut += 5) EXPECT_NE(refusal(whole.substr(cut)), "accepted") << cut;
}

}  // namespace
}  // namespace sf
