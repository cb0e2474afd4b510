#include "engine/import/zip_reader.h"

#include <algorithm>
#include <string_view>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr int64_t kEndBytes = 22, kMaxComment = 65535, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr int64_t kCentralBytes = 46, kLocalBytes = 30;
constexpr int64_t kMaxDirectoryBytes = 64 << 20;
constexpr uint64_t kSays64 = 0xffffffff;  // the value stands in the ZIP64 field

class ZipDirectory {
 public:
  ZipDirectory(const RandomAccessFile& file, const std::string& file_name) : file_(file), file_name_(file_name) {}

  std::map<std::string, ZipEntry> read() {
    find_directory();
    const std::string table = bytes(begin_, size_);
    if (count_ > static_cast<uint64_t>(size_) / kCentralBytes) fail("zip: the table of contents is damaged");
    std::map<std::string, ZipEntry> entries;
    int64_t at = 0;
    for (uint64_t i = 0; i < count_; ++i) at = read_entry(table, at, entries);
    return entries;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(const Args&... reason) const {
    throw Error(Code::kDataLoss, concat(file_name_, ": ", reason...), file_name_);
  }

  std::string bytes(int64_t begin, int64_t size) const {
    if (begin < 0 || size < 0 || begin > file_.size() || size > file_.size() - begin)
      fail("zip: cut off, or an offset lies outside the file");
    std::string out(static_cast<size_t>(size), '\0');
    file_.read(begin, size, out.data());
    return out;
  }

  uint64_t number(std::string_view text, int64_t at, int size) const {
    if (at < 0 || at + size > static_cast<int64_t>(text.size())) fail("zip: cut off");
    uint64_t value = 0;
    for (int i = 0; i < size; ++i)
      value |= uint64_t{static_cast<uint8_t>(text[static_cast<size_t>(at + i)])} << (8 * i);
    return value;
  }

  void set_directory(uint64_t begin, uint64_t size, uint64_t count) {
    if (size > kMaxDirectoryBytes)
      fail("zip: a table of contents of ", size, " bytes is over the limit of ", kMaxDirectoryBytes);
    if (begin > static_cast<uint64_t>(file_.size())) fail("zip: the table of contents lies outside the file");
    begin_ = static_cast<int64_t>(begin);
    size_ = static_cast<int64_t>(size);
    count_ = count;
  }

  void find_directory() {
    const int64_t tail_size = std::min<int64_t>(file_.size(), kEndBytes + kMaxComment + kLocator64Bytes);
    const int64_t tail_begin = file_.size() - tail_size;
    const std::string tail = bytes(tail_begin, tail_size);
    const size_t end = tail.rfind("PK\x05\x06");
    if (end == std::string::npos) fail("no zip file, or cut off");
    const auto at = static_cast<int64_t>(end);
    if (at + kEndBytes + static_cast<int64_t>(number(tail, at + 20, 2)) != tail_size)
      fail("zip: cut off behind the table of contents");
    set_directory(number(tail, at + 16, 4), number(tail, at + 12, 4), number(tail, at + 10, 2));
    const int64_t locator = at - kLocator64Bytes;
    if (locator < 0 || std::string_view(tail).substr(static_cast<size_t>(locator), 4) != "PK\x06\x07") return;
    const uint64_t end64 = number(tail, locator + 8, 8);
    if (end64 > static_cast<uint64_t>(file_.size())) fail("zip: the ZIP64 record lies outside the file");
    const std::string record = bytes(static_cast<int64_t>(end64), kEnd64Bytes);
    if (!record.starts_with("PK\x06\x06")) fail("zip: no ZIP64 record where one is announced");
    set_directory(number(record, 48, 8), number(record, 40, 8), number(record, 32, 8));
  }

  // The three sizes of a central entry, from its ZIP64 field where the short ones say so.
  struct Sizes {
    uint64_t packed, plain, local;
  };
  Sizes sizes_of(std::string_view table, int64_t at, std::string_view extra) const {
    Sizes sizes{number(table, at + 20, 4), number(table, at + 24, 4), number(table, at + 42, 4)};
    for (int64_t field = 0; field + 4 <= static_cast<int64_t>(extra.size());) {
      const auto size = static_cast<int64_t>(number(extra, field + 2, 2));
      int64_t value = field + 4;
      if (number(extra, field, 2) == 1) {
        for (uint64_t* part : {&sizes.plain, &sizes.packed, &sizes.local}) {
          if (*part != kSays64) continue;
          *part = number(extra, value, 8);
          value += 8;
        }
      }
      field += 4 + size;
    }
    return sizes;
  }

  int64_t read_entry(const std::string& table, int64_t at, std::map<std::string, ZipEntry>& entries) const {
    if (at + kCentralBytes > static_cast<int64_t>(table.size()) || table.compare(at, 4, "PK\x01\x02") != 0) {
      fail("zip: the table of contents is damaged");
    }
    const auto name_size = static_cast<int64_t>(number(table, at + 28, 2));
    const auto extra_size = static_cast<int64_t>(number(table, at + 30, 2));
    const int64_t next = at + kCentralBytes + name_size + extra_size + static_cast<int64_t>(number(table, at + 32, 2));
    if (next > static_cast<int64_t>(table.size())) fail("zip: the table of contents is cut off");
    const std::string name = table.substr(at + kCentralBytes, name_size);
    if (number(table, at + 8, 2) & 1) fail("zip: entry '", name, "' is encrypted");
    if (number(table, at + 10, 2) != 0) fail("zip: entry '", name, "' is compressed; torch.save stores its entries");
    const Sizes sizes = sizes_of(table, at, std::string_view(table).substr(at + kCentralBytes + name_size, extra_size));
    if (sizes.packed != sizes.plain) fail("zip: entry '", name, "' has two sizes");
    entry_of(name, sizes, entries);
    return next;
  }

  void entry_of(const std::string& name, const Sizes& sizes, std::map<std::string, ZipEntry>& entries) const {
    const auto limit = static_cast<uint64_t>(file_.size());
    if (sizes.local > limit || sizes.plain > limit) fail("zip: entry '", name, "' lies outside the file");
    const std::string local = bytes(static_cast<int64_t>(sizes.local), kLocalBytes);
    if (!local.starts_with("PK\x03\x04")) fail("zip: entry '", name, "' has no header");
    const int64_t begin = static_cast<int64_t>(sizes.local + kLocalBytes + number(local, 26, 2) + number(local, 28, 2));
    const auto size = static_cast<int64_t>(sizes.plain);
    if (begin > file_.size() || size > file_.size() - begin) fail("zip: entry '", name, "' lies outside the file");
    if (!entries.emplace(name, ZipEntry{begin, size}).second) fail("zip: entry '", name, "' stands there twice");
  }

  const RandomAccessFile& file_;
  const std::string& file_name_;
  int64_t begin_ = 0, size_ = 0;
  uint64_t count_ = 0;
};

}  // namespace

std::map<std::string, ZipEntry> read_zip_directory(const RandomAccessFile& file, const std::string& file_name) {
  return ZipDirectory(file, file_name).read();
}

}  // namespace sf
